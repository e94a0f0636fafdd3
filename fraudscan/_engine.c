/* The loops in which scoring and dumps spend their time. See kernel.py, and the callers, which define what each loop
   computes.

   The functions keep no state. Arrays come through the buffer protocol, C-contiguous and without overlap. Their sizes
   are checked before anything is read or written, and every index in them is checked before it is used.
   The interpreter lock is released except while Python objects are read or created. */

#include "_kernel.h"

/* Compile a function for several processors; the version to use is chosen when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__)
#define VECTORS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORS
#endif

/* See `Vocabulary`: a step that exists is in its slot of `steps`, and its node is in the same slot of `nodes`. */
typedef struct {
    const uint32_t *seeds, *steps, *nodes;
    uint32_t width, bucket_multiplier, slot_multiplier;
    int bucket_shift, slot_shift;
} Trie;

/* Return the node that a character leads to from the node `prefix`, 0 if there is none. */
static inline uint32_t find(const Trie *trie, uint32_t prefix, uint32_t character)
{
    uint32_t step = prefix * trie->width + character;
    uint32_t seed = trie->seeds[step * trie->bucket_multiplier >> trie->bucket_shift];
    uint32_t slot = (step ^ seed) * trie->slot_multiplier >> trie->slot_shift;
    return trie->nodes[slot] & -(uint32_t)(trie->steps[slot] == step); /* half are found: a branch would mispredict */
}

#define BLOCK 512 /* starts that are followed together, so that no look-up waits for the one before */

/* Turn characters, given as nodes, into the longest n-grams that end there.

   A longer n-gram overwrites a shorter one that ends at the same place: within a block it is found later, and if it
   begins in an earlier block it also comes later, because blocks are processed from last to first. */
static void follow(const Trie *trie, const uint32_t *characters, Py_ssize_t size, uint32_t *nodes)
{
    uint32_t ends[BLOCK], found[BLOCK]; /* n-grams that may continue: their ends and nodes */

    memmove(nodes, characters, (size_t)size * sizeof *nodes);
    for (Py_ssize_t stop = size - 1; stop > 0; stop -= BLOCK) {
        Py_ssize_t base = stop > BLOCK ? stop - BLOCK : 0;
        uint32_t starts = (uint32_t)(stop - base), open = 0;
        for (uint32_t i = 0; i < starts; i++) {
            ends[open] = i + 1;
            found[open] = find(trie, characters[base + i], characters[base + i + 1]);
            open += found[open] != 0;
        }
        while (open) {
            uint32_t all = open;
            open = 0;
            for (uint32_t i = 0; i < all; i++) {
                Py_ssize_t end = base + ends[i];
                uint32_t node = nodes[end] = found[i];
                if (end + 1 == size)
                    continue;
                ends[open] = ends[i] + 1;
                found[open] = find(trie, node, characters[end + 1]);
                open += found[open] != 0;
            }
        }
    }
}

/* Return the exponent of a size that is a power of two; -1 if it is not one that a table can have. */
static int exponent(Py_ssize_t size)
{
    for (int bits = 1; bits < 31; bits++)
        if (size == (Py_ssize_t)1 << bits)
            return bits;
    return -1;
}

PyDoc_STRVAR(follow_doc, "follow(characters, seeds, steps, nodes, width, bucket_multiplier, slot_multiplier, found)\n"
                         "--\n\nFill ``found``, as `Vocabulary._follow` does.");

static PyObject *engine_follow(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { CHARACTERS, SEEDS, STEPS, NODES, FOUND, ARRAYS };
    static const Py_ssize_t bytes[] = {4, 4, 4, 4, 4};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS];
    Trie trie;

    if (!PyArg_ParseTuple(args, "y*y*y*y*IIIw*:follow", &array[0], &array[1], &array[2], &array[3], &trie.width,
                          &trie.bucket_multiplier, &trie.slot_multiplier, &array[4]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    const int bucket_bits = exponent(size[SEEDS]), slot_bits = exponent(size[STEPS]);
    if (bucket_bits < 0 || slot_bits < 0 || size[NODES] != size[STEPS] || size[FOUND] != size[CHARACTERS]) {
        PyErr_SetString(PyExc_ValueError, "steps and nodes must have 2**n slots, seeds must have 2**m, and found must "
                                          "have a place for each character");
        goto done;
    }
    trie.seeds = array[SEEDS].buf;
    trie.steps = array[STEPS].buf;
    trie.nodes = array[NODES].buf;
    trie.bucket_shift = 32 - bucket_bits;
    trie.slot_shift = 32 - slot_bits;
    Py_BEGIN_ALLOW_THREADS
    follow(&trie, array[CHARACTERS].buf, size[CHARACTERS], array[FOUND].buf);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    return release_all(array, ARRAYS, result);
}

#define STRIP 32 /* columns that are added up together, in registers: all those of the shipped model */
#define RUN 256  /* the sum of this many int8 weights fits int16 */
#define AHEAD 16 /* number of rows ahead that are prefetched */

/* Add up the rows of weights of the nodes; return 0, or -1 if a node has no row. */
static int add_up(const uint32_t *nodes, Py_ssize_t size, const int8_t *weights, Py_ssize_t rows, Py_ssize_t width,
                  int64_t *sums)
{
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (Py_ssize_t first = 0; first < size; first += RUN) {
        Py_ssize_t last = size - first < RUN ? size : first + RUN;
        for (Py_ssize_t begin = 0; begin < width; begin += STRIP) {
            Py_ssize_t columns = width - begin < STRIP ? width - begin : STRIP;
            int16_t part[STRIP] = {0};
            for (Py_ssize_t i = first; i < last; i++) {
                if (nodes[i] >= (size_t)rows)
                    return -1;
                if (i + AHEAD < size && nodes[i + AHEAD] < (size_t)rows) { /* a row may span two cache lines */
                    PREFETCH(weights + nodes[i + AHEAD] * width);
                    PREFETCH(weights + nodes[i + AHEAD] * width + width - 1);
                }
                const int8_t *row = weights + nodes[i] * width + begin;
                if (columns == STRIP) /* a loop of known length compiles to a few instructions */
                    for (int column = 0; column < STRIP; column++)
                        part[column] = (int16_t)(part[column] + row[column]);
                else
                    for (int column = 0; column < columns; column++)
                        part[column] = (int16_t)(part[column] + row[column]);
            }
            for (Py_ssize_t column = 0; column < columns; column++)
                sums[begin + column] += part[column];
        }
    }
    return 0;
}

PyDoc_STRVAR(add_up_doc, "add_up(nodes, starts, weights, width, sums)\n--\n\n"
                         "Fill ``sums``, of shape (starts, width), as `Engine._added_up` does.");

static PyObject *engine_add_up(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { NODES, STARTS, WEIGHTS, SUMS, ARRAYS };
    static const Py_ssize_t bytes[] = {4, 8, 1, 8};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS], width;
    int bad = 0;

    if (!PyArg_ParseTuple(args, "y*y*y*nw*:add_up", &array[0], &array[1], &array[2], &width, &array[3]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    const Py_ssize_t parts = size[STARTS];
    if (width < 1 || size[WEIGHTS] % width || size[SUMS] % width || size[SUMS] / width != parts) {
        PyErr_SetString(PyExc_ValueError, "weights and sums must have rows of the width given, and sums must have one "
                                          "for each start");
        goto done;
    }
    const uint32_t *nodes = array[NODES].buf;
    const int64_t *start = array[STARTS].buf;
    int64_t *sums = array[SUMS].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < parts && !bad; i++) {
        const int64_t stop = i + 1 < parts ? start[i + 1] : size[NODES];
        bad = start[i] < 0 || start[i] >= stop || stop > size[NODES] ||
              add_up(nodes + start[i], (Py_ssize_t)(stop - start[i]), array[WEIGHTS].buf, size[WEIGHTS] / width, width,
                     sums + i * width) < 0;
    }
    Py_END_ALLOW_THREADS
    if (!failed(bad ? "starts must ascend within the nodes, and each node must have a row of weights" : NULL))
        result = Py_NewRef(Py_None);
done:
    return release_all(array, ARRAYS, result);
}

#define TILE 64 /* units whose sums stay in registers */
#define MOST_INPUTS 64

/* Adding and subtracting it rounds to the nearest integer, ties to even: floats of this size have no fraction bits. */
#define ROUNDER 12582912.0f
#define DOUBLE_ROUNDER 6755399441055744.0

/* Return the first logit of a text that consists of some `pieces`, one after the other in `sums`. All sums of the layer
   are exact in float32, in any order (see layer.py). */
VECTORS static double first_logit(const int64_t *sums, Py_ssize_t pieces, double norm, const double *scales,
                                  const double *biases, const float *hidden, const float *output, Py_ssize_t inputs,
                                  Py_ssize_t units, double scale, double bound, float most)
{
    float step[MOST_INPUTS + 1], logit[TILE] = {0};
    int64_t total[MOST_INPUTS];

    for (Py_ssize_t i = 0; i < inputs; i++)
        total[i] = sums[i];
    for (Py_ssize_t piece = 1; piece < pieces; piece++)
        for (Py_ssize_t i = 0; i < inputs; i++)
            total[i] = (int64_t)((uint64_t)total[i] + (uint64_t)sums[piece * inputs + i]);
    for (Py_ssize_t i = 0; i < inputs; i++) {
        double input = ((double)total[i] * scales[i] / norm + biases[i]) * scale;
        input = input < bound ? input : bound;
        input = input > -bound ? input : -bound;
        step[i] = (float)((input + DOUBLE_ROUNDER) - DOUBLE_ROUNDER);
    }
    step[inputs] = (float)scale;
    for (Py_ssize_t first = 0; first < units; first += TILE) {
        float sum[TILE] = {0};
        const Py_ssize_t size = units - first < TILE ? units - first : TILE;
        if (size == TILE) /* a loop of known length compiles to a few instructions */
            for (Py_ssize_t i = 0; i <= inputs; i++)
                for (int unit = 0; unit < TILE; unit++)
                    sum[unit] += step[i] * hidden[i * units + first + unit];
        else
            for (Py_ssize_t i = 0; i <= inputs; i++)
                for (Py_ssize_t unit = 0; unit < size; unit++)
                    sum[unit] += step[i] * hidden[i * units + first + unit];
        for (Py_ssize_t unit = 0; unit < size; unit++) {
            float value = sum[unit] < most ? sum[unit] : most;
            value = value > 0 ? value : 0;
            logit[unit] += ((value + ROUNDER) - ROUNDER) * output[first + unit];
        }
    }
    for (int half = TILE / 2; half; half /= 2)
        for (int unit = 0; unit < half; unit++)
            logit[unit] += logit[unit + half];
    return (double)(logit[0] + output[units]);
}

PyDoc_STRVAR(alarms_doc, "alarms(sums, begins, pieces, norms, scales, biases, hidden, output, scale, bound, most,\n"
                         "       logits)\n--\n\n"
                         "Fill ``logits`` with the first logit of each text, as `Engine._alarms` does. A text is the\n"
                         "sum of ``pieces`` consecutive rows of ``sums``, the first of which is its begin.");

static PyObject *engine_alarms(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { SUMS, BEGINS, NORMS, SCALES, BIASES, HIDDEN, OUTPUT, LOGITS, ARRAYS };
    static const Py_ssize_t bytes[] = {8, 8, 8, 8, 8, 4, 4, 8};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS], pieces;
    double scale, bound, most;
    int bad = 0;

    if (!PyArg_ParseTuple(args, "y*y*ny*y*y*y*y*dddw*:alarms", &array[0], &array[1], &pieces, &array[2], &array[3],
                          &array[4], &array[5], &array[6], &scale, &bound, &most, &array[7]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    const Py_ssize_t texts = size[NORMS], inputs = size[SCALES], units = size[OUTPUT] - 1;
    if (inputs < 1 || inputs > MOST_INPUTS || units < 1 || pieces < 1 || size[SUMS] % inputs ||
        size[BEGINS] != texts || size[BIASES] != inputs || size[HIDDEN] / units != inputs + 1 ||
        size[HIDDEN] % units || size[LOGITS] != texts) {
        PyErr_SetString(PyExc_ValueError, "the sizes of the arrays do not fit each other");
        goto done;
    }
    const int64_t *sums = array[SUMS].buf, *begin = array[BEGINS].buf, last = size[SUMS] / inputs - pieces;
    const double *norms = array[NORMS].buf;
    double *logits = array[LOGITS].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < texts && !bad; i++)
        if (!(bad = begin[i] < 0 || begin[i] > last))
            logits[i] = first_logit(sums + begin[i] * inputs, pieces, norms[i], array[SCALES].buf, array[BIASES].buf,
                                    array[HIDDEN].buf, array[OUTPUT].buf, inputs, units, scale, bound, (float)most);
    Py_END_ALLOW_THREADS
    if (!failed(bad ? "each text must have its pieces" : NULL))
        result = Py_NewRef(Py_None);
done:
    return release_all(array, ARRAYS, result);
}

PyDoc_STRVAR(tally_doc, "tally(nodes, starts, flags, counts)\n--\n\n"
                        "Fill ``counts``, of shape (2, starts), with the number of nodes from each start to the next\n"
                        "that have the first flag, and that have the second.");

static PyObject *engine_tally(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { NODES, STARTS, FLAGS, COUNTS, ARRAYS };
    static const Py_ssize_t bytes[] = {4, 8, 1, 8};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS];
    int bad = 0;

    if (!PyArg_ParseTuple(args, "y*y*y*w*:tally", &array[0], &array[1], &array[2], &array[3]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    const Py_ssize_t parts = size[STARTS];
    if (size[COUNTS] % 2 || size[COUNTS] / 2 != parts) {
        PyErr_SetString(PyExc_ValueError, "counts must have two elements for each start");
        goto done;
    }
    const uint32_t *node = array[NODES].buf;
    const int64_t *start = array[STARTS].buf;
    const uint8_t *flag = array[FLAGS].buf;
    int64_t *counts = array[COUNTS].buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < parts && !bad; i++) {
        int64_t stop = i + 1 < parts ? start[i + 1] : size[NODES], first = 0, second = 0;
        bad = start[i] < 0 || start[i] >= stop || stop > size[NODES];
        for (int64_t at = start[i]; at < stop && !bad; at++)
            if (!(bad = node[at] >= (size_t)size[FLAGS])) {
                first += flag[node[at]] & 1;
                second += flag[node[at]] >> 1 & 1;
            }
        counts[i] = first;
        counts[parts + i] = second;
    }
    Py_END_ALLOW_THREADS
    if (!failed(bad ? "starts must ascend within the nodes, and each node must have its flags" : NULL))
        result = Py_NewRef(Py_None);
done:
    return release_all(array, ARRAYS, result);
}

#define LONGEST_SCORE 8

/* Write a number of millionths as Python writes the float; return a pointer to its end. */
static char *write_score(char *at, int64_t millionths)
{
    if (millionths && millionths < 100) {
        int two = millionths >= 10;
        *at++ = (char)('0' + (two ? millionths / 10 : millionths));
        if (two && millionths % 10) {
            *at++ = '.';
            *at++ = (char)('0' + millionths % 10);
        }
        memcpy(at, two ? "e-05" : "e-06", 4);
        return at + 4;
    }
    *at++ = (char)('0' + millionths / 1000000);
    *at++ = '.';
    for (int64_t unit = 100000, rest = millionths % 1000000; rest || unit == 100000; unit /= 10) {
        *at++ = (char)('0' + rest / unit);
        rest %= unit;
    }
    return at;
}

static int is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

PyDoc_STRVAR(splice_doc, "splice(rows, places, parts, numbers, more, names)\n--\n\n"
                         "Return the JSON objects with further fields, as `JsonLinesWriter.encode` does: the parts at\n"
                         "the row's place with a number after each but the last, the row's item of `more` unless that\n"
                         "is empty, and each name followed by its number. All places have equally many parts. Numbers\n"
                         "are given in millionths.");

/* Copy bytes; return a pointer to the end of the copy. */
static char *copy(char *to, const char *from, Py_ssize_t size)
{
    memcpy(to, from, (size_t)size);
    return to + size;
}

static char *copy_bytes(char *to, PyObject *bytes)
{
    return copy(to, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
}

/* Return whether all items of a tuple are bytes; add up their sizes. */
static int all_bytes(PyObject *tuple, Py_ssize_t *room)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        if (!PyBytes_Check(item))
            return 0;
        *room += PyBytes_GET_SIZE(item);
    }
    return 1;
}

static PyObject *engine_splice(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { PLACES, NUMBERS, ARRAYS };
    static const Py_ssize_t bytes[] = {8, 8};
    PyObject *objects, *parts, *others, *names, *rows = NULL, *more = NULL, *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t sizes[ARRAYS], room = 0, named = 0;

    if (!PyArg_ParseTuple(args, "Oy*O!y*OO!:splice", &objects, &array[0], &PyTuple_Type, &parts, &array[1], &others,
                          &PyTuple_Type, &names))
        return NULL;
    if (count_all(array, bytes, sizes, ARRAYS) < 0 || !(rows = PySequence_Tuple(objects)) ||
        !(more = PySequence_Tuple(others)))
        goto done;
    const Py_ssize_t size = sizes[PLACES], all = sizes[NUMBERS];
    const Py_ssize_t kinds = PyTuple_GET_SIZE(parts), tail = PyTuple_GET_SIZE(names);
    const int64_t *place = array[PLACES].buf, *number = array[NUMBERS].buf;
    const int tells = PyTuple_GET_SIZE(more) > 0;
    const Py_ssize_t width = size ? all / size : tail, between = width - tail; /* numbers of a row, and in its parts */
    if (PyTuple_GET_SIZE(rows) != size || (tells && PyTuple_GET_SIZE(more) != size) || all != width * size ||
        between < 0) {
        PyErr_SetString(PyExc_ValueError, "there must be one element for each row, and a number for each name, too");
        goto done;
    }
    if (!all_bytes(rows, &room) || !all_bytes(more, &room) || !all_bytes(names, &named)) {
        PyErr_SetString(PyExc_TypeError, "rows, more and names must be bytes");
        goto done;
    }
    for (Py_ssize_t i = 0; i < all; i++)
        if (number[i] < 0 || number[i] > 1000000) {
            PyErr_SetString(PyExc_ValueError, "numbers must be 0 to 1000000 (in millionths)");
            goto done;
        }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!PyBytes_GET_SIZE(PyTuple_GET_ITEM(rows, i)) || place[i] < 0 || place[i] >= kinds) {
            PyErr_SetString(PyExc_ValueError, "rows must not be empty, and places must be indices of parts");
            goto done;
        }
        PyObject *part = PyTuple_GET_ITEM(parts, place[i]);
        if (!PyTuple_Check(part) || PyTuple_GET_SIZE(part) != between + 1 || !all_bytes(part, &room)) {
            PyErr_SetString(PyExc_TypeError, "parts must be tuples of bytes, one more than there are numbers in them");
            goto done;
        }
        room += named + width * LONGEST_SCORE + 2;
    }
    if (!(result = PyBytes_FromStringAndSize(NULL, room)))
        goto done;
    char *out = PyBytes_AS_STRING(result);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, i), *part = PyTuple_GET_ITEM(parts, place[i]);
        Py_ssize_t length = PyBytes_GET_SIZE(row) - 1;
        while (length && is_space(PyBytes_AS_STRING(row)[length - 1]))
            length--;
        out = copy(out, PyBytes_AS_STRING(row), length);
        for (Py_ssize_t j = 0; j < between; j++) {
            out = copy_bytes(out, PyTuple_GET_ITEM(part, j));
            out = write_score(out, *number++);
        }
        out = copy_bytes(out, PyTuple_GET_ITEM(part, between));
        if (tells)
            out = copy_bytes(out, PyTuple_GET_ITEM(more, i));
        for (Py_ssize_t j = 0; j < tail; j++) {
            out = copy_bytes(out, PyTuple_GET_ITEM(names, j));
            out = write_score(out, *number++);
        }
        out = copy(out, "}\n", 2);
    }
    _PyBytes_Resize(&result, out - PyBytes_AS_STRING(result));
done:
    Py_XDECREF(rows);
    Py_XDECREF(more);
    return release_all(array, ARRAYS, result);
}

static PyMethodDef methods[] = {
    {"likeliest", lattice_likeliest, METH_VARARGS, lattice_likeliest_doc},
    {"survey", survey_texts, METH_VARARGS, survey_texts_doc},
    {"spans", evidence_spans, METH_VARARGS, evidence_spans_doc},
    {"alarms", engine_alarms, METH_VARARGS, alarms_doc},
    {"tally", engine_tally, METH_VARARGS, tally_doc},
    {"splice", engine_splice, METH_VARARGS, splice_doc},
    {"read", read_texts, METH_VARARGS, read_texts_doc},
    {"follow", engine_follow, METH_VARARGS, follow_doc},
    {"add_up", engine_add_up, METH_VARARGS, add_up_doc},
    {NULL, NULL, 0, NULL},
};

/* The digest of these sources, which setup.py defines as a name, because quotation marks differ between compilers. */
#ifndef DIGEST
#define DIGEST
#endif
#define TEXT_OF(name) #name
#define VALUE_OF(macro) TEXT_OF(macro)

static int add_digest(PyObject *self)
{
    return PyModule_AddStringConstant(self, "DIGEST", VALUE_OF(DIGEST));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, add_digest},
    {0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "fraudscan._engine",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__engine(void)
{
    return PyModuleDef_Init(&module);
}
