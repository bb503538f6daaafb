/* Arrow structs in PyCapsules: three kinds alike, but for their types. */
#include "capsule.h"

static void schema_free(struct ArrowSchema *schema)
{
	if (schema->release) {
		schema->release(schema);
	}
	PyMem_Free(schema);
}

static void schema_end(PyObject *capsule)
{
	schema_free(PyCapsule_GetPointer(capsule, "arrow_schema"));
}

PyObject *capsule_schema(struct ArrowSchema *schema)
{
	PyObject *capsule = PyCapsule_New(schema, "arrow_schema", schema_end);
	if (!capsule) {
		schema_free(schema);
	}
	return capsule;
}

static void array_free(struct ArrowArray *array)
{
	if (array->release) {
		array->release(array);
	}
	PyMem_Free(array);
}

static void array_end(PyObject *capsule)
{
	array_free(PyCapsule_GetPointer(capsule, "arrow_array"));
}

PyObject *capsule_array(struct ArrowArray *array)
{
	PyObject *capsule = PyCapsule_New(array, "arrow_array", array_end);
	if (!capsule) {
		array_free(array);
	}
	return capsule;
}

static void stream_free(struct ArrowArrayStream *stream)
{
	if (stream->release) {
		stream->release(stream);
	}
	PyMem_Free(stream);
}

static void stream_end(PyObject *capsule)
{
	stream_free(PyCapsule_GetPointer(capsule, "arrow_array_stream"));
}

PyObject *capsule_stream(struct ArrowArrayStream *stream)
{
	PyObject *capsule = PyCapsule_New(stream, "arrow_array_stream", stream_end);
	if (!capsule) {
		stream_free(stream);
	}
	return capsule;
}
