/* The reading of texts as numbers, without what is dropped or repeated, and the search for marks of disguise;
   features.py and neighbours.py define them in NumPy. The rules at the top of _engine.c apply here, too. */

#include "_kernel.h"

#define DROPPED UINT32_MAX /* the id of a character that is dropped */
#define OPENS 0x80000000u  /* the bit of ids of characters that are dropped or may begin mark-up */
#define MOST_MARKUP 16     /* no mark-up is longer; see `features.MOST_MARKUP` */
#define NODE_BITS 16       /* an id has the character's node in its low bits, its number (see neighbours.py) above */
#define NODE_MASK 0xFFFFu
#define REPEATS 4          /* see `features.REPEATS` */
#define SOON 64            /* number of characters ahead for which scores are prefetched */

/* The normalised character of each code point, and mark-up (see `without_markup`), sorted: `MOST_MARKUP` characters for
   each string, with zeros behind the shorter ones. */
typedef struct {
    const int32_t *normal, *strings;
    Py_ssize_t size;
} Markup;

/* Return whether a text that ends at `stop` has mark-up at `code`. Point `behind` to the kept character after it, or
   after as much of it as there is. */
static int is_markup(const Markup *markup, const uint32_t *code, const uint32_t *stop, const uint32_t **behind)
{
    const uint32_t *place[MOST_MARKUP + 1];
    int32_t character[MOST_MARKUP];
    Py_ssize_t kept = 0, most = 0;
    int whole = 0;
    for (; code < stop && kept < MOST_MARKUP; code++)
        if ((character[kept] = markup->normal[*code]) != 0)
            place[kept++] = code;
    place[kept] = code;
    Py_ssize_t low = 0, high = markup->size / MOST_MARKUP; /* the most similar strings are side by side */
    while (low < high && !whole) {
        const Py_ssize_t middle = low + (high - low) / 2;
        const int32_t *string = markup->strings + middle * MOST_MARKUP;
        Py_ssize_t same = 0;
        while (same < kept && character[same] == string[same]) /* no kept character is 0 */
            same++;
        most = same > most ? same : most;
        whole = same == MOST_MARKUP || (same && !string[same]);
        if (same < kept && same < MOST_MARKUP && character[same] > string[same])
            low = middle + 1;
        else
            high = middle;
    }
    *behind = place[most];
    return whole;
}

/* Remove the characters that are dropped, mark-up, and repetitions. `out` holds the code points of the texts, each
   followed by a separator, whose value is ignored. They are replaced in place by the ids (numbers and nodes) of the
   characters that are kept, with an end after each text. Return the number of elements written. No code point is
   overwritten before it is read. */
static Py_ssize_t keep(uint32_t *out, int64_t *start, int64_t *length, Py_ssize_t texts, const uint32_t *ids,
                       const Markup *markup, uint32_t end, uint32_t digit, int no_repeats)
{
    Py_ssize_t kept = 0;
    const uint32_t *code = out;
    for (Py_ssize_t i = 0; i < texts; i++) {
        start[i] = kept;
        uint32_t last[REPEATS] = {CODE_POINTS, CODE_POINTS, CODE_POINTS, CODE_POINTS}, same[REPEATS] = {0};
        const uint32_t *barred = NULL; /* no mark-up begins up to here: the end of the beginning of other mark-up */
        for (const uint32_t *stop = code + length[i]; code < stop; code++) {
            const uint32_t read = *code;
            uint32_t found = ids[read]; /* the number stays until `mark` has used it */
            if (found & OPENS) {
                if (found == DROPPED)
                    continue;
                found &= ~OPENS;
                if (!barred || code >= barred) {
                    const uint32_t *behind;
                    if (is_markup(markup, code, stop, &behind) && code != barred) {
                        code = behind - 1;
                        continue;
                    }
                    barred = behind;
                }
            }
            uint32_t again = 0;
            const uint32_t mine = found >> NODE_BITS == digit ? CODE_POINTS : read; /* no digit is a repetition */
            for (uint32_t period = REPEATS; period > 0; period--) {
                same[period - 1] = mine == last[period - 1] && mine < CODE_POINTS ? same[period - 1] + 1 : 0;
                again |= same[period - 1] > (REPEATS - 1) * period;
                last[period - 1] = period > 1 ? last[period - 2] : mine;
            }
            out[kept] = found;
            kept += !(again && no_repeats);
        }
        code++;
        length[i] = kept - start[i];
        out[kept++] = end << NODE_BITS;
    }
    return kept;
}

#define MOST_ROWS 0x10000 /* a number has 16 bits */

/* The evidence of pairs of neighbours: `scores` has a score for each pair of numbers, in rows; `evidence` and `cut`
   have the weight of each score, between adjacent characters and across signs that are left out. The others say which
   numbers are Chinese and which are signs, when signs are looked at (`crowded`, `most`), from which sum on a text is
   marked (`enough`), how many gaps between Chinese characters are filled in a text that is marked because of that, what
   share of these characters they are, and with which sum, the length of a block (see `neighbours.PART_BLOCK`), from
   which sum on a part is marked, and what is returned for a text that is marked as a whole, and in part. */
typedef struct {
    const uint8_t *scores;
    const int8_t *evidence, *cut;
    size_t pairs;
    uint32_t row, end, chinese, first_sign, last_sign, crowded, most, min_filled;
    int enough, filled_enough, block, part_enough, whole, part;
    double filled_share;
} Neighbours;

/* Return the weight of a pair of numbers, which are in the table. */
static inline int weight(const Neighbours *known, const int8_t *weights, uint32_t left, uint32_t right)
{
    return weights[known->scores[(size_t)left * known->row + right]];
}

/* Return whether something cuts many words of a text, whatever it is. */
static int is_filled(const uint32_t *own, Py_ssize_t size, const Neighbours *known)
{
    const uint32_t limit = (known->chinese + 1) << NODE_BITS; /* ids of Chinese characters are below it */
    Py_ssize_t filled = 0, last = -1;
    uint32_t chinese = 0, begins = 0;
    int32_t sum = 0;
    for (Py_ssize_t at = 0; at < size - 1; at++) { /* several at a time, as no step depends on another one */
        chinese += own[at] < limit;
        begins += (own[at] < limit) & (own[at + 1] >= limit);
    }
    chinese += size && own[size - 1] < limit;
    const double least = known->filled_share * (double)chinese;
    if (begins < known->min_filled || (double)begins < least)
        return 0;
    for (Py_ssize_t at = 0; at < size; at++) {
        if ((own[at] >> NODE_BITS) > known->chinese)
            continue;
        if (last >= 0 && at > last + 1) {
            sum += weight(known, known->cut, own[last] >> NODE_BITS, own[at] >> NODE_BITS);
            filled++;
        }
        last = at;
    }
    return filled >= (Py_ssize_t)known->min_filled && (double)filled >= least && sum >= known->filled_enough;
}

/* Return the evidence of signs between characters that may be one word. */
static int32_t evidence_of_signs(const uint32_t *own, Py_ssize_t size, const Neighbours *known)
{
    const uint32_t signs = known->last_sign - known->first_sign;
    int32_t sum = 0;
    for (Py_ssize_t at = 1; at < size - 1; at++) {
        const uint32_t left = own[at - 1] >> NODE_BITS;
        if (left > known->chinese)
            continue;
        Py_ssize_t behind = at;
        while (behind < size && (own[behind] >> NODE_BITS) - known->first_sign <= signs)
            behind++;
        if (behind == at || behind == size || behind - at > (Py_ssize_t)known->most)
            continue;
        const uint32_t right = own[behind] >> NODE_BITS;
        if (right <= known->chinese)
            sum += weight(known, known->cut, left, right);
    }
    return sum;
}

/* Return whether a text or a part of one is marked: its pairs have the evidence `sum`, and `signs` of it are signs. */
static int is_marked(const uint32_t *own, Py_ssize_t size, int32_t sum, uint32_t signs, int enough,
                     const Neighbours *known)
{
    if ((size_t)known->crowded * signs > (size_t)size)
        sum += evidence_of_signs(own, size, known);
    return sum >= enough || is_filled(own, size, known);
}

#define MOST_BLOCKS 128 /* see `neighbours.MOST_BLOCKS` */

/* A block of a text: the evidence of the pairs that end in it, and of the first of them, and how many signs it has. */
typedef struct {
    int32_t sum, first;
    uint32_t signs;
} Block;

/* Return whether a window of a text of at least three blocks is marked: see `neighbours.marks_of`. */
static int has_marked_part(const uint32_t *own, Py_ssize_t size, const Block *blocks, const Neighbours *known)
{
    const Py_ssize_t length = known->block, count = size / length;
    for (Py_ssize_t i = 0; i < count - 1; i++) {
        const uint32_t *part = own + i * length;
        const int last = i == count - 2;
        Py_ssize_t end = last ? size : (i + 2) * length;
        int32_t sum = blocks[i].sum - blocks[i].first + blocks[i + 1].sum;
        uint32_t signs = blocks[i].signs + blocks[i + 1].signs;
        sum += weight(known, known->evidence, known->end, *part >> NODE_BITS);
        sum += last ? blocks[count].sum : weight(known, known->evidence, own[end - 1] >> NODE_BITS, known->end);
        signs += last ? blocks[count].signs : 0;
        if (is_marked(part, end - i * length, sum, signs, known->part_enough, known))
            return 1;
    }
    return 0;
}

/* Add the pairs that end in a block of characters to `found`. `before` is the number before it, and `soon` the one
   before the character that is `SOON` characters ahead. Return whether all numbers are in the table. */
static inline int add_pairs(const uint32_t *own, Py_ssize_t size, Py_ssize_t ahead, const Neighbours *known,
                            size_t *before, size_t *soon, Block *found)
{
    for (Py_ssize_t at = 0; at < size; at++) {
        size_t pair;
        if (at < ahead) { /* without this, most of the time is spent waiting for scores */
            pair = *soon * known->row;
            *soon = own[at + SOON] >> NODE_BITS;
            if ((pair += *soon) < known->pairs)
                PREFETCH(known->scores + pair);
        }
        pair = *before * known->row;
        *before = own[at] >> NODE_BITS;
        if (*before >= known->row)
            return 0;
        pair += *before;
        found->sum += known->evidence[known->scores[pair]];
        found->signs += *before - known->first_sign <= known->last_sign - known->first_sign;
    }
    return 1;
}

/* Add up the evidence of the pairs of each text, and remove the numbers from its elements, which leaves the nodes. All
   texts together have `kept` elements. Return whether all numbers are in the table. */
static int mark(uint32_t *out, const int64_t *start, const int64_t *length, Py_ssize_t texts, Py_ssize_t kept,
                Neighbours known, char *marked)
{
    size_t before = known.end, soon = known.end;
    Block blocks[MOST_BLOCKS + 1];
    for (Py_ssize_t i = 0; i < texts; i++) {
        uint32_t *own = out + start[i];
        const Py_ssize_t size = length[i], ahead = kept - SOON - start[i];
        const int parts = size >= 3 * (Py_ssize_t)known.block && size / known.block <= MOST_BLOCKS;
        const Py_ssize_t step = parts ? known.block : size + 1;
        Block all = {0, 0, 0};
        for (Py_ssize_t begin = 0, block = 0; begin <= size; begin += step, block++) {
            const Py_ssize_t many = size + 1 - begin < step ? size + 1 - begin : step;
            const uint32_t first = own[begin] >> NODE_BITS;
            Block found = {0, first < known.row ? weight(&known, known.evidence, (uint32_t)before, first) : 0, 0};
            if (!add_pairs(own + begin, many, ahead - begin, &known, &before, &soon, &found))
                return 0;
            all.sum += found.sum;
            all.signs += found.signs;
            if (parts)
                blocks[block] = found;
        }
        const int whole = is_marked(own, size, all.sum, all.signs, known.enough, &known);
        const int part = !whole && parts && has_marked_part(own, size, blocks, &known);
        marked[i] = (char)(whole ? known.whole : part ? known.part : 0);
        for (Py_ssize_t at = 0; at < size; at++)
            own[at] &= NODE_MASK;
        own[size] = 0;
    }
    return 1;
}

const char read_texts_doc[] =
    PyDoc_STR("read(texts, ids, normal, markup, pairs, evidence, cut, row, end, chinese, signs, crowded,\n"
              "     most, min_filled, filled_share, filled_enough, marks, repeats, digit, characters,\n"
              "     starts, lengths, marked)\n--\n\n"
              "Fill the last four arguments, as `Vocabulary.match` does; return the number of characters.\n"
              "Chinese numbers go up to `chinese`; `signs` are the first and last number of signs, and at\n"
              "most `most` signs cut a word. `marks` are the evidence that is enough for a text, and for a\n"
              "part of one, the length of a block, and the marks of both.");

PyObject *read_texts(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { IDS, NORMAL, MARKUP, PAIRS, EVIDENCE, CUT, CHARACTERS, STARTS, LENGTHS, MARKED, ARRAYS };
    static const Py_ssize_t bytes[] = {4, 4, 4, 1, 1, 1, 4, 8, 8, 1};
    PyObject *texts, *items = NULL, *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS];
    Neighbours known;
    unsigned int repeats, digit;

    if (!PyArg_ParseTuple(args, "Oy*y*y*y*y*y*III(II)IIIdi(iiiii)IIw*w*w*w*:read", &texts, &array[0], &array[1],
                          &array[2], &array[3], &array[4], &array[5], &known.row, &known.end, &known.chinese,
                          &known.first_sign, &known.last_sign, &known.crowded, &known.most, &known.min_filled,
                          &known.filled_share, &known.filled_enough, &known.enough, &known.part_enough,
                          &known.block, &known.whole, &known.part, &repeats, &digit, &array[6], &array[7],
                          &array[8], &array[9]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0 ||
        !(items = PySequence_Fast(texts, "texts must be a sequence of strings")))
        goto done;
    const Py_ssize_t number_of_texts = PySequence_Fast_GET_SIZE(items);
    if (repeats && repeats != REPEATS) {
        PyErr_Format(PyExc_ValueError, "repeats must be 0 or %d", REPEATS);
        goto done;
    }
    if (size[IDS] != CODE_POINTS || size[NORMAL] != CODE_POINTS || size[STARTS] != number_of_texts ||
        size[LENGTHS] != number_of_texts || size[MARKED] != number_of_texts || size[EVIDENCE] != SCORES ||
        size[CUT] != SCORES) {
        PyErr_SetString(PyExc_ValueError, "ids and normal must have an element for each code point, evidence and cut "
                                          "one for each score, and starts, lengths and marked one for each text");
        goto done;
    }
    if (known.row > MOST_ROWS || known.end >= known.row || size[PAIRS] != (Py_ssize_t)known.row * known.row ||
        known.block < 1) {
        PyErr_SetString(PyExc_ValueError, "numbers are beyond the table of pairs, or blocks have no length");
        goto done;
    }
    const Markup markup = {array[NORMAL].buf, array[MARKUP].buf, size[MARKUP]};
    if (markup.size % MOST_MARKUP) {
        PyErr_Format(PyExc_ValueError, "markup must have %d characters for each string", MOST_MARKUP);
        goto done;
    }

    uint32_t *out = array[CHARACTERS].buf; /* all code points at first; then the kept ones, from its start on */
    int64_t *start = array[STARTS].buf, *length = array[LENGTHS].buf;
    Py_ssize_t used = 0, kept;
    for (Py_ssize_t i = 0; i < number_of_texts; i++) { /* runs no Python code, which could change the list */
        PyObject *text = PySequence_Fast_GET_ITEM(items, i);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is not a string", i);
            goto done;
        }
        length[i] = PyUnicode_GetLength(text);
        if (length[i] >= size[CHARACTERS] - used) {
            PyErr_SetString(PyExc_ValueError, "characters has no room for all texts, each followed by a separator");
            goto done;
        }
        if (length[i] < 0 || !PyUnicode_AsUCS4(text, out + used, size[CHARACTERS] - used, 1))
            goto done;
        used += length[i] + 1;
    }

    known.scores = array[PAIRS].buf;
    known.evidence = array[EVIDENCE].buf;
    known.cut = array[CUT].buf;
    known.pairs = (size_t)size[PAIRS];
    int whole;
    Py_BEGIN_ALLOW_THREADS
    kept = keep(out, start, length, number_of_texts, array[IDS].buf, &markup, known.end, digit, repeats != 0);
    whole = mark(out, start, length, number_of_texts, kept, known, array[MARKED].buf);
    Py_END_ALLOW_THREADS

    if (!failed(whole ? NULL : "a character's number is beyond the table of pairs"))
        result = PyLong_FromSsize_t(kept);
done:
    Py_XDECREF(items);
    return release_all(array, ARRAYS, result);
}
