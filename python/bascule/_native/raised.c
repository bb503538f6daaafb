/* From Python exceptions to errors of the core. */
#include "raised.h"

#include <string.h>

int raised_fail_text(struct bsc_error *err, int status, const char *text)
{
	if (err) {
		size_t n = strlen(text);
		err->status = status;
		if (n < sizeof(err->message)) {
			memcpy(err->message, text, n + 1);
		} else {
			/* The end of a traceback says most: keep head and tail. */
			static const char cut[] = "\n    [...]\n";
			size_t head = sizeof(err->message) / 4;
			size_t tail = sizeof(err->message) - head - sizeof(cut);
			const char *rest = text + n - tail;
			while (head > 0 && ((unsigned char)text[head] & 0xC0) == 0x80) {
				head--;
			}
			while (((unsigned char)*rest & 0xC0) == 0x80) {
				rest++;
			}
			memcpy(err->message, text, head);
			memcpy(err->message + head, cut, sizeof(cut) - 1);
			strcpy(err->message + head + sizeof(cut) - 1, rest);
		}
	}
	return status;
}

PyObject *raised_take(void)
{
#if PY_VERSION_HEX >= 0x030C0000
	return PyErr_GetRaisedException();
#else
	PyObject *type, *error, *traceback;
	PyErr_Fetch(&type, &error, &traceback);
	PyErr_NormalizeException(&type, &error, &traceback);
	if (traceback) {
		PyException_SetTraceback(error, traceback);
	}
	Py_XDECREF(type);
	Py_XDECREF(traceback);
	return error;
#endif
}
