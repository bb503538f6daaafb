/* Included before all else into the sources of _native: each call of Python's C API
 * that may lack memory is counted as an allocation, and may fail as one. */
#ifndef FAULT_PYTHON_FAULTS_H
#define FAULT_PYTHON_FAULTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "faults.h"

static inline void *fault_null(void)
{
	return PyErr_NoMemory();
}

static inline int fault_minus_one(void)
{
	(void)PyErr_NoMemory();
	return -1;
}

#define FAULT_NULL(call) (faults_take() ? fault_null() : (call))
#define FAULT_INT(call) (faults_take() ? fault_minus_one() : (call))

/* Macros of Python's own. */
#undef PyObject_CallFunction
#undef PyObject_CallMethod
#undef Py_BuildValue
#undef PyObject_New
#define PyObject_CallFunction(...) FAULT_NULL(_PyObject_CallFunction_SizeT(__VA_ARGS__))
#define PyObject_CallMethod(...) FAULT_NULL(_PyObject_CallMethod_SizeT(__VA_ARGS__))
#define Py_BuildValue(...) FAULT_NULL(_Py_BuildValue_SizeT(__VA_ARGS__))
#define PyObject_New(type, typeobj) ((type *)FAULT_NULL((void *)_PyObject_New(typeobj)))

/* Functions; a name within its own macro is the function. */
#define PyBytes_FromStringAndSize(...) FAULT_NULL(PyBytes_FromStringAndSize(__VA_ARGS__))
#define PyCapsule_New(...) FAULT_NULL(PyCapsule_New(__VA_ARGS__))
#define PyFloat_FromDouble(...) FAULT_NULL(PyFloat_FromDouble(__VA_ARGS__))
#define PyImport_ImportModule(...) FAULT_NULL(PyImport_ImportModule(__VA_ARGS__))
#define PyIter_Next(...) FAULT_NULL(PyIter_Next(__VA_ARGS__))
#define PyList_New(...) FAULT_NULL(PyList_New(__VA_ARGS__))
#define PyLong_FromLong(...) FAULT_NULL(PyLong_FromLong(__VA_ARGS__))
#define PyLong_FromLongLong(...) FAULT_NULL(PyLong_FromLongLong(__VA_ARGS__))
#define PyMapping_Items(...) FAULT_NULL(PyMapping_Items(__VA_ARGS__))
#define PyModule_AddFunctions(...) FAULT_INT(PyModule_AddFunctions(__VA_ARGS__))
#define PyModule_AddObjectRef(...) FAULT_INT(PyModule_AddObjectRef(__VA_ARGS__))
#define PyModule_AddStringConstant(...) FAULT_INT(PyModule_AddStringConstant(__VA_ARGS__))
#define PyModule_AddType(...) FAULT_INT(PyModule_AddType(__VA_ARGS__))
#define PyObject_CallFunctionObjArgs(...) FAULT_NULL(PyObject_CallFunctionObjArgs(__VA_ARGS__))
#define PyObject_CallMethodNoArgs(...) FAULT_NULL(PyObject_CallMethodNoArgs(__VA_ARGS__))
#define PyObject_CallMethodObjArgs(...) FAULT_NULL(PyObject_CallMethodObjArgs(__VA_ARGS__))
#define PyObject_CallMethodOneArg(...) FAULT_NULL(PyObject_CallMethodOneArg(__VA_ARGS__))
#define PyObject_CallNoArgs(...) FAULT_NULL(PyObject_CallNoArgs(__VA_ARGS__))
#define PyObject_CallOneArg(...) FAULT_NULL(PyObject_CallOneArg(__VA_ARGS__))
#define PyObject_GetAttr(...) FAULT_NULL(PyObject_GetAttr(__VA_ARGS__))
#define PyObject_GetAttrString(...) FAULT_NULL(PyObject_GetAttrString(__VA_ARGS__))
#define PyObject_RichCompareBool(...) FAULT_INT(PyObject_RichCompareBool(__VA_ARGS__))
#define PyObject_SetAttrString(...) FAULT_INT(PyObject_SetAttrString(__VA_ARGS__))
#define PySequence_Concat(...) FAULT_NULL(PySequence_Concat(__VA_ARGS__))
#define PySequence_Fast(...) FAULT_NULL(PySequence_Fast(__VA_ARGS__))
#define PyTuple_New(...) FAULT_NULL(PyTuple_New(__VA_ARGS__))
#define PyTuple_Pack(...) FAULT_NULL(PyTuple_Pack(__VA_ARGS__))
#define PyType_FromModuleAndSpec(...) FAULT_NULL(PyType_FromModuleAndSpec(__VA_ARGS__))
#define PyUnicode_AsUTF8(...) FAULT_NULL(PyUnicode_AsUTF8(__VA_ARGS__))
#define PyUnicode_AsUTF8AndSize(...) FAULT_NULL(PyUnicode_AsUTF8AndSize(__VA_ARGS__))
#define PyUnicode_FromFormat(...) FAULT_NULL(PyUnicode_FromFormat(__VA_ARGS__))
#define PyUnicode_DecodeUTF8(...) FAULT_NULL(PyUnicode_DecodeUTF8(__VA_ARGS__))
#define PyUnicode_FromString(...) FAULT_NULL(PyUnicode_FromString(__VA_ARGS__))
#define PyUnicode_InternFromString(...) FAULT_NULL(PyUnicode_InternFromString(__VA_ARGS__))

/* Memory of Python's, which sets no exception. */
#define PyMem_Calloc(...) (faults_take() ? NULL : faults_counted(PyMem_Calloc(__VA_ARGS__)))
#define PyMem_RawCalloc(...) (faults_take() ? NULL : faults_counted(PyMem_RawCalloc(__VA_ARGS__)))
#define PyMem_Free(ptr) (faults_freed(ptr), PyMem_Free(ptr))
#define PyMem_RawFree(ptr) (faults_freed(ptr), PyMem_RawFree(ptr))

#endif
