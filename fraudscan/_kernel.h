/* What the source files of the kernel share. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

#if defined(_MSC_VER) /* after all includes: headers use __declspec(restrict) */
#define restrict __restrict
#endif

#define CODE_POINTS 0x110000
#define NO_MEMORY "" /* the error if memory is lacking and nothing is wrong with the arguments */
#define SCORES 256 /* different scores of pairs of neighbours: a score is a byte */

/* Return the number of elements of `bytes` bytes in a buffer; -1, with an exception set, if it is not such an array. */
static inline Py_ssize_t count(const Py_buffer *buffer, Py_ssize_t bytes, const char *name)
{
    if (buffer->len % bytes || (uintptr_t)buffer->buf % (uintptr_t)bytes) {
        PyErr_Format(PyExc_ValueError, "%s is not an array of elements of %zd bytes", name, bytes);
        return -1;
    }
    return buffer->len / bytes;
}

/* Count the elements of arrays; return -1, with an exception set, if one of them has another type. */
static inline int count_all(const Py_buffer *array, const Py_ssize_t *bytes, Py_ssize_t *size, int arrays)
{
    for (int i = 0; i < arrays; i++)
        if ((size[i] = count(&array[i], bytes[i], "an argument")) < 0)
            return -1;
    return 0;
}

/* Release arrays, and return the result of a function. */
static inline PyObject *release_all(Py_buffer *array, int arrays, PyObject *result)
{
    for (int i = 0; i < arrays; i++)
        PyBuffer_Release(&array[i]);
    return result;
}

/* Set the exception for an error, if there is one; return whether there is. */
static inline int failed(const char *bad)
{
    if (bad && *bad)
        PyErr_SetString(PyExc_ValueError, bad);
    else if (bad)
        PyErr_NoMemory();
    return bad != NULL;
}

/* The functions of `_disguise.c`. */
PyObject *disguise_survey(PyObject *module, PyObject *args);
PyObject *disguise_likeliest(PyObject *module, PyObject *args);
extern const char disguise_survey_doc[], disguise_likeliest_doc[];

/* The function of `_evidence.c`. */
PyObject *evidence_spans(PyObject *module, PyObject *args);
extern const char evidence_spans_doc[];
