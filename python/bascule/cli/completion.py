"""``bascule completion``: the scripts that shells source, and what they ask for."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from bascule.cli import COMPLETE_VARIABLE

__all__ = ["answer", "command"]

_BASH_PLAIN = "COMPREPLY+=($value)"
_ZSH_PLAIN = 'if [[ "$type" == "plain" ]]; then'


class _Zsh(ZshComplete):
    """click's, without a space behind ``name=``."""

    def source(self) -> str:
        script = super().source().replace("local -a response", "local -a response joined")
        script = script.replace(_ZSH_PLAIN, f"{_ZSH_PLAIN}\n            [[ $key == *= ]] && joined=(-S '')")
        script = script.replace("completions_with_descriptions -U", 'completions_with_descriptions -U "${joined[@]}"')
        return script.replace("compadd -U", 'compadd "${joined[@]}" -U')


class _Bash(BashComplete):
    """click's, without a space behind ``name=``, and for words with ``:`` and ``=`` in them, which bash takes apart."""

    _cut = ""

    def source(self) -> str:
        return (
            super()
            .source()
            .replace(_BASH_PLAIN, f"{_BASH_PLAIN}\n            [[ $value == *= ]] && compopt -o nospace")
        )

    def get_completion_args(self) -> tuple[list[str], str]:
        words = split_arg_string(os.environ["COMP_WORDS"])
        current = int(os.environ["COMP_CWORD"])
        words, incomplete = words[:current], "".join(words[current : current + 1])
        joined: list[str] = []
        for word in [*words, incomplete]:
            if joined and (word in (":", "=") or joined[-1].endswith((":", "="))):
                joined[-1] += word
            else:
                joined.append(word)
        # bash replaces only what stands behind the last of them.
        self._cut = joined[-1].removesuffix("" if incomplete in (":", "=") else incomplete)
        return joined[1:-1], joined[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{str(item.value).removeprefix(self._cut)}"


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash, in ~/.bashrc:   eval "$(bascule completion bash)"
    zsh, in ~/.zshrc:     eval "$(bascule completion zsh)"
    fish:                 bascule completion fish > ~/.config/fish/completions/bascule.fish

    Commands, options, installed sources and the options that a source declares complete; for the last, the source's
    module is imported.
    """
    group = ctx.find_root().command
    click.echo(_SHELLS[shell](group, {}, "bascule", COMPLETE_VARIABLE).source(), nl=False)


def answer(group: click.Group, instruction: str) -> int:
    """Answers a shell's script, which asks for completions. Returns the exit code.

    Args:
        group: the commands.
        instruction: what it set the variable to, as ``bash_complete``.
    """
    shell = _SHELLS.get(instruction.removesuffix("_complete"))
    if shell is None:
        return 2
    click.echo(shell(group, {}, "bascule", COMPLETE_VARIABLE).complete())
    return 0
