"""The sources that come with Bascule: each a class of the contract, knowing no engine.

Each is installed with its extra (``pip install 'bascule[jdbc]'``) and has a short name:
``python('jdbc', ...)``.
"""
