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
#define BEYOND "a number is beyond the table of pairs"

/* Count the elements of arrays, of `bytes` bytes each; return -1, with an exception set, if one is no such array. */
static inline int count_all(const Py_buffer *array, const Py_ssize_t *bytes, Py_ssize_t *size, int arrays)
{
    for (int i = 0; i < arrays; i++) {
        if (array[i].len % bytes[i] || (uintptr_t)array[i].buf % (uintptr_t)bytes[i]) {
            PyErr_Format(PyExc_ValueError, "an argument is not an array of elements of %zd bytes", bytes[i]);
            return -1;
        }
        size[i] = array[i].len / bytes[i];
    }
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

/* The functions of the other files. */
PyObject *read_texts(PyObject *module, PyObject *args);
PyObject *survey_texts(PyObject *module, PyObject *args);
PyObject *lattice_likeliest(PyObject *module, PyObject *args);
PyObject *evidence_spans(PyObject *module, PyObject *args);
extern const char read_texts_doc[], survey_texts_doc[], lattice_likeliest_doc[], evidence_spans_doc[];
