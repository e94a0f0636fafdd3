/* The three loops in which a scorer spends its time, compiled: `read`, `follow` and `add_up`.

   What they compute is defined by the NumPy code that calls them (`features.Vocabulary`, `model.Scanner`) and that does
   the same, to the last bit, where this module was not built. They hold no state. Buffers come from outside: their
   sizes are checked before the first access, and every index that is read from one of them before it is used. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

/* Sums are twice as fast with the wider registers of newer processors; the loader chooses. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define CODE_POINTS 0x110000
#define DROPPED UINT32_MAX /* the id of a character that is not read */
#define NODE_BITS 16       /* an id holds the node in the low bits, and the number in the table of neighbours above */
#define NODE_MASK 0xFFFFu
#define AHEAD 8            /* rows that are fetched before they are needed */
#define BLOCK 512          /* starts that are followed together, character by character */
#define RUN 256            /* weights of int8 whose sum fits int16 */

/* Return how many elements a buffer has, or -1 and an exception if it is no array of them. */
static Py_ssize_t count(const Py_buffer *buffer, size_t size, const char *name)
{
    if (buffer->len % (Py_ssize_t)size || (uintptr_t)buffer->buf % size) {
        PyErr_Format(PyExc_ValueError, "%s is no array of elements of %zu bytes", name, size);
        return -1;
    }
    return buffer->len / (Py_ssize_t)size;
}

/* The trie: see `Vocabulary` and its `_slots`. */
typedef struct {
    const uint32_t *seeds, *steps, *nodes;
    uint32_t width, bucket_multiplier, slot_multiplier;
    int bucket_shift, slot_shift;
} Trie;

/* Return the node of a step, 0 if there is none. */
static inline uint32_t find(const Trie *trie, uint32_t step)
{
    uint32_t seed = trie->seeds[step * trie->bucket_multiplier >> trie->bucket_shift];
    uint32_t slot = (step ^ seed) * trie->slot_multiplier >> trie->slot_shift;
    return trie->nodes[slot] & -(uint32_t)(trie->steps[slot] == step); /* a branch here would be guessed wrong */
}

/* Return the power of two that `size` is, or -1. */
static int exponent(Py_ssize_t size)
{
    int bits = 0;
    while (bits < 31 && (Py_ssize_t)1 << bits < size)
        bits++;
    return (Py_ssize_t)1 << bits == size ? bits : -1;
}

/* Turn characters, given as nodes, into the longest n-grams that end there.

   The starts of a block are followed together: their look-ups do not wait for each other, and no branch depends on them.
   A longer n-gram overwrites a shorter one that ends there: it is found later, or in an earlier block, and the blocks go
   from the last to the first. */
static void follow_all(const Trie *trie, const uint32_t *restrict characters, Py_ssize_t size, uint32_t *restrict nodes)
{
    uint32_t ends[BLOCK], found[BLOCK];
    memcpy(nodes, characters, (size_t)size * sizeof *nodes);
    for (Py_ssize_t stop = size - 1; stop > 0; stop -= BLOCK) {
        Py_ssize_t base = stop > BLOCK ? stop - BLOCK : 0;
        uint32_t open = 0;
        for (uint32_t i = 0; i < (uint32_t)(stop - base); i++) {
            ends[open] = i + 1;
            found[open] = find(trie, characters[base + i] * trie->width + characters[base + i + 1]);
            open += found[open] != 0;
        }
        while (open) {
            uint32_t all = open;
            open = 0;
            for (uint32_t i = 0; i < all; i++) {
                Py_ssize_t end = base + ends[i];
                uint32_t node = nodes[end] = found[i];
                if (end + 1 < size) {
                    ends[open] = ends[i] + 1;
                    found[open] = find(trie, node * trie->width + characters[end + 1]);
                    open += found[open] != 0;
                }
            }
        }
    }
}

static PyObject *follow(PyObject *self, PyObject *args)
{
    Py_buffer seeds, steps, nodes, characters, out;
    unsigned int width, bucket_multiplier, slot_multiplier;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*IIIw*:follow", &characters, &seeds, &steps, &nodes, &width,
                          &bucket_multiplier, &slot_multiplier, &out))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t size = count(&characters, 4, "characters"), room = count(&out, 4, "out");
    Py_ssize_t buckets = count(&seeds, 4, "seeds"), slots = count(&steps, 4, "steps"), ends = count(&nodes, 4, "nodes");
    if (PyErr_Occurred())
        goto done;
    int bucket_bits = exponent(buckets), slot_bits = exponent(slots);
    if (bucket_bits < 1 || slot_bits < 1 || ends != slots || room < size) {
        PyErr_SetString(PyExc_ValueError, "the arrays of a trie do not fit each other, or out is too small");
        goto done;
    }
    Trie trie = {seeds.buf, steps.buf, nodes.buf, width, bucket_multiplier, slot_multiplier, 32 - bucket_bits,
                 32 - slot_bits};
    Py_BEGIN_ALLOW_THREADS
    follow_all(&trie, characters.buf, size, out.buf);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&seeds), PyBuffer_Release(&steps), PyBuffer_Release(&nodes);
    PyBuffer_Release(&characters), PyBuffer_Release(&out);
    return result;
}

static PyObject *read_(PyObject *self, PyObject *args)
{
    PyObject *texts;
    Py_buffer ids, evidence, out, starts, lengths, marked;
    unsigned int row, end;
    int enough;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*y*IIiw*w*w*w*:read", &texts, &ids, &evidence, &row, &end, &enough, &out, &starts,
                          &lengths, &marked))
        return NULL;
    PyObject *result = NULL, *items = NULL;
    Py_ssize_t codes = count(&ids, 4, "ids"), room = count(&out, 4, "out");
    Py_ssize_t pairs = count(&evidence, 1, "evidence"), size = 0, kept = 0, bad = 0;
    if (count(&starts, 8, "starts") < 0 || count(&lengths, 8, "lengths") < 0||
        PyErr_Occurred())
        goto done;
    items = PySequence_Fast(texts, "texts must be a sequence of strings");
    if (!items)
        goto done;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(items);
    int64_t *start = starts.buf, *length = lengths.buf;
    char *mark = marked.buf;
    uint32_t *to = out.buf;
    if (starts.len / 8 != n || lengths.len / 8 != n || marked.len != n || codes != CODE_POINTS) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not fit the texts");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) { /* nothing in here runs Python code: the list stays as it is */
        PyObject *text = PySequence_Fast_GET_ITEM(items, i);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", i);
            goto done;
        }
        length[i] = PyUnicode_GET_LENGTH(text);
        if (length[i] >= room - size) {
            PyErr_SetString(PyExc_ValueError, "out has no room for the texts and their separators");
            goto done;
        }
        if (!PyUnicode_AsUCS4(text, to + size, length[i], 0))
            goto done;
        size += length[i] + 1;
    }
    Py_BEGIN_ALLOW_THREADS
    const uint32_t *id = ids.buf, *from = to;
    const int8_t *speaks = evidence.buf;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_ssize_t first = kept;
        uint32_t before = end;
        int32_t said = 0;
        for (const uint32_t *stop = from + length[i]; from < stop; from++) {
            uint32_t found = id[*from];
            if (found == DROPPED)
                continue;
            uint32_t number = found >> NODE_BITS;
            size_t pair = (size_t)before * row + number;
            if (pair >= (size_t)pairs) {
                bad = 1;
                break;
            }
            said += speaks[pair];
            before = number;
            to[kept++] = found & NODE_MASK;
        }
        if (bad || (size_t)before * row + end >= (size_t)pairs) {
            bad = 1;
            break;
        }
        mark[i] = said + speaks[(size_t)before * row + end] >= enough;
        start[i] = first;
        length[i] = kept - first;
        to[kept++] = 0;
        from++;
    }
    Py_END_ALLOW_THREADS
    if (bad)
        PyErr_SetString(PyExc_ValueError, "a number of a character is beyond the table of evidence");
    else
        result = PyLong_FromSsize_t(kept);
done:
    Py_XDECREF(items);
    PyBuffer_Release(&ids), PyBuffer_Release(&evidence), PyBuffer_Release(&out);
    PyBuffer_Release(&starts), PyBuffer_Release(&lengths), PyBuffer_Release(&marked);
    return result;
}

#ifndef MAXW
#define MAXW 64
#endif
/* Add up the rows of `weights` for the nodes of one segment; `total` has room for `width` sums. */
FOR_EACH_PROCESSOR
static int sum_up(const uint32_t *nodes, Py_ssize_t count, const int8_t *weights, Py_ssize_t rows, Py_ssize_t width,
                  int64_t *restrict total)
{
    for (Py_ssize_t column = 0; column < width; column++)
        total[column] = 0;
    for (Py_ssize_t done = 0; done < count; done += RUN) {
        Py_ssize_t stop = count - done < RUN ? count : done + RUN;
        for (Py_ssize_t first = 0; first < width; first += 48) {
            int16_t sums[48] = {0};
            Py_ssize_t columns = width - first < 48 ? width - first : 48;
            for (Py_ssize_t i = done; i < stop; i++) {
                if (nodes[i] >= (size_t)rows)
                    return -1;
                if (i + AHEAD < count && nodes[i + AHEAD] < (size_t)rows)
                    PREFETCH(weights + nodes[i + AHEAD] * width);
                const int8_t *row = weights + nodes[i] * width + first;
                if (columns == 48)
                    for (int column = 0; column < 48; column++)
                        sums[column] += row[column];
                else
                    for (int column = 0; column < columns; column++)
                        sums[column] += row[column];
            }
            for (Py_ssize_t column = 0; column < columns; column++)
                total[first + column] += sums[column];
        }
    }
    return 0;
}

static PyObject *add_up(PyObject *self, PyObject *args)
{
    Py_buffer nodes, starts, weights, out;
    Py_ssize_t width, bad = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*n:add_up", &nodes, &starts, &weights, &out, &width))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t size = count(&nodes, 4, "nodes"), segments = count(&starts, 8, "starts"), room = count(&out, 8, "out");
    if (PyErr_Occurred())
        goto done;
    if (width < 1 || weights.len % width || room / width != segments || room % width) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not fit the width of the weights");
        goto done;
    }
    Py_ssize_t rows = weights.len / width;
    const int64_t *start = starts.buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < segments && !bad; i++) {
        int64_t stop = i + 1 < segments ? start[i + 1] : size;
        bad = start[i] < 0 || start[i] > stop || stop > size;
        if (!bad)
            bad = sum_up((const uint32_t *)nodes.buf + start[i], (Py_ssize_t)(stop - start[i]), weights.buf, rows, width,
                         (int64_t *)out.buf + i * width);
    }
    Py_END_ALLOW_THREADS
    if (bad)
        PyErr_SetString(PyExc_ValueError, "starts must ascend within the nodes, and nodes be rows of the weights");
    else
        result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&nodes), PyBuffer_Release(&starts), PyBuffer_Release(&weights), PyBuffer_Release(&out);
    return result;
}

static PyMethodDef methods[] = {
    {"read", read_, METH_VARARGS, NULL},
    {"follow", follow, METH_VARARGS, NULL},
    {"add_up", add_up, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fraudscan._engine", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__engine(void)
{
    return PyModuleDef_Init(&module);
}
