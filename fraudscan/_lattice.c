/* The search for the likeliest readings of texts; lattice.py defines it in NumPy. The rules at the top of _engine.c apply
   here, too. */

#include "_kernel.h"

/* The steps of a path: the places where they begin, and their numbers. */
typedef struct {
    int64_t *begins;
    uint16_t *numbers;
} Steps;

/* The input and output of `likeliest`: the numbers as written, the log-scores of reading them as written, the arcs that
   read them otherwise, the choices that arcs offer, the scores of pairs, the best path, and what each text gains by it.
   The number of an end is `end`. */
typedef struct {
    const uint16_t *numbers;
    const int64_t *as_written, *starts, *ends, *rows, *scores;
    const uint8_t *channels;
    const int64_t *bounds;
    const uint16_t *members;
    const uint8_t *pairs;
    const int32_t *logs;
    int64_t last, arcs, choices, all_members, width, margin, texts;
    uint16_t end;
    Steps path;
    int64_t *gains;
} Lattice;

/* A number that may be read on a step that ends at a place: the score of the best path to the number, the previous
   state on that path, and the step: that of an arc, or OWN. */
typedef struct {
    int64_t best, back, arc;
    uint16_t number;
} State;

#define OWN (-1) /* the character is read as written */

#define CHANNELS 2 /* besides 0, the channel of the arcs that every channel has */

/* The working memory of `likeliest`: for each place the first arc that ends there and, for each channel, the farthest
   end of the arcs that begin there; for each arc the next arc with the same end; for each place of a text its first
   state; the states, grouped by place; the values of the scores of pairs, in the high half of a word; for each choice of
   the current step, the best way to it (see `weigh`); and the path by another channel. */
typedef struct {
    int64_t *first, (*reach)[1 + CHANNELS], *next, *places;
    State *states;
    int64_t count, room, most;
    int64_t worth[SCORES], *ways;
    Steps other;
} Work;

#define TOO_LARGE "a log-score is too large"
#define NO_END "there must be an end, and a gain, for each text"
#define OUT_OF_TEXT "arcs must not lead out of a text"
#define FARTHEST (1 << 30) /* the largest margin: score differences between states of a place fit half a word */
#define HALF 32
#define HIGH ((int64_t)1 << HALF)
#define LARGEST ((int64_t)1 << 31) /* the largest log-score: that of a path of as many steps fits an int64 */

/* Put each arc, in order, into the list of the place where it ends; return an error of the lattice, or NULL. */
static const char *list_arcs(const Lattice *at, Work *work)
{
    for (int64_t place = 0; place < at->last; place++) {
        if (at->numbers[place] >= at->width)
            return BEYOND;
        if (at->as_written[place] > LARGEST || at->as_written[place] < -LARGEST)
            return TOO_LARGE;
    }
    memset(work->first, -1, (size_t)(at->last + 1) * sizeof *work->first);
    memset(work->reach, 0, (size_t)(at->last + 1) * sizeof *work->reach);
    for (int64_t i = at->arcs - 1; i >= 0; i--) {
        const int64_t start = at->starts[i], end = at->ends[i], row = at->rows[i];
        if (at->scores[i] > LARGEST || at->scores[i] < -LARGEST)
            return TOO_LARGE;
        if (start < 0 || start >= end || end > at->last)
            return "arcs must lead onwards, to places that exist";
        if (at->channels[i] > CHANNELS)
            return "there is no such channel";
        if (row < 0 || row >= at->choices || at->bounds[row] < 0 || at->bounds[row + 1] < at->bounds[row] ||
            at->bounds[row + 1] > at->all_members)
            return "there is no such choice: rows must be indices of choices, and bounds must ascend within members";
        const int64_t size = at->bounds[row + 1] - at->bounds[row];
        work->most = size > work->most ? size : work->most;
        int64_t *reach = &work->reach[start][at->channels[i]];
        *reach = end > *reach ? end : *reach;
        work->next[i] = work->first[end];
        work->first[end] = i;
    }
    return NULL;
}

/* Make room for more states; return 0, or -1 if memory is lacking. */
static int make_room(Work *work, int64_t more)
{
    if (more <= work->room - work->count)
        return 0;
    const int64_t room = 2 * work->room + more;
    State *grown = PyMem_RawRealloc(work->states, (size_t)room * sizeof *grown);
    if (!grown)
        return -1;
    work->states = grown;
    work->room = room;
    return 0;
}

/* Find the best way to each of some numbers from the states where their step begins: in the high half of a word its
   score relative to the first of these states, in the low half how many states come after the one that it leads from.
   So the greatest word is the best way; among equals, the one from the first state. No branch depends on the scores,
   so none is mispredicted. Return an error, or NULL. */
static const char *weigh(const Lattice *at, const Work *work, const State *states, int64_t many,
                         const uint16_t *restrict member, int64_t size, int64_t *restrict ways)
{
    for (int64_t j = 0; j < size; j++) {
        if (member[j] >= at->width)
            return BEYOND;
        ways[j] = INT64_MIN;
    }
    for (int64_t i = 0; i < many; i++) {
        const uint8_t *restrict pairs = at->pairs + states[i].number * at->width;
        const int64_t value = (states[i].best - states[0].best) * HIGH + (many - 1 - i);
        for (int64_t j = 0; j < size; j++) {
            const int64_t way = value + work->worth[pairs[member[j]]];
            ways[j] = way > ways[j] ? way : ways[j];
        }
    }
    return NULL;
}

/* Add states for the numbers that may be read on a step from an earlier place, except those that are not within the
   margin of the best state of their place so far; return an error, or NULL. */
static const char *extend(const Lattice *at, Work *work, int64_t begin, int64_t arc, const uint16_t *restrict member,
                          int64_t size, int64_t score, int64_t *limit)
{
    const int64_t from = work->places[begin], many = work->places[begin + 1] - from;
    int64_t *restrict ways = work->ways;
    if (make_room(work, size) < 0)
        return NO_MEMORY;
    const char *bad = weigh(at, work, work->states + from, many, member, size, ways);
    if (bad)
        return bad;
    const int64_t all = work->states[from].best + score, last = from + many - 1;
    State *restrict next = work->states + work->count;
    int64_t least = *limit;
    for (int64_t j = 0; j < size; j++) {
        const int64_t value = all + (ways[j] >> HALF) + at->logs[member[j]];
        *next = (State){value, last - (ways[j] & (HIGH - 1)), arc, member[j]};
        least = value - at->margin > least ? value - at->margin : least;
        next += value >= least;
    }
    work->count = next - work->states;
    *limit = least;
    return NULL;
}

/* Append the path to a state of a place after the first `length` steps; return the new number of steps. */
static int64_t write_path(const Lattice *at, const State *states, int64_t state, int64_t place, int64_t length,
                          const Steps *steps)
{
    int64_t size = 0;
    for (int64_t i = state; i; i = states[i].back)
        size++;
    for (int64_t i = state, step = length + size; i; i = states[i].back) {
        const int64_t arc = states[i].arc;
        place = arc == OWN ? place - 1 : at->starts[arc];
        steps->begins[--step] = place;
        steps->numbers[step] = states[i].number;
    }
    return length + size;
}

/* Return the value of reading a number as written after another. */
static inline int64_t value_of(const Lattice *at, const Work *work, unsigned int before, int64_t place)
{
    const unsigned int number = at->numbers[place];
    return at->as_written[place] + at->logs[number] + (work->worth[at->pairs[before * at->width + number]] >> HALF);
}

/* Find the best path through the text from `begin` to `end`, where its end number is, with the arcs of one channel. It
   is found by the best path to each state that is within the margin of the best state of its place. Where all paths
   pass through one state, the path before it is final, and scores restart at zero there. Set the number of steps and
   the value of the path; return an error of the lattice, or NULL. */
static const char *find_path(const Lattice *at, Work *work, int64_t begin, int64_t end, int channel, const Steps *steps,
                             int64_t *length, int64_t *value)
{
    int64_t *places = work->places, far = 0; /* the farthest end of the arcs that begin before a place */

    work->states[0] = (State){.number = at->end};
    work->count = 1;
    places[begin] = 0;
    places[begin + 1] = 1;
    *length = *value = 0;
    for (int64_t place = begin + 1; place <= end + 1; place++) {
        const int64_t own = work->count;
        int64_t limit = INT64_MIN, near = own;
        const int64_t *reach = work->reach[place - 1];
        far = reach[0] > far ? reach[0] : far;
        far = reach[channel] > far ? reach[channel] : far;
        if (own == 1 && far <= place && work->first[place] < 0) { /* nothing to choose, as at most places */
            *value += value_of(at, work, work->states[0].number, place - 1);
            work->states[0].number = steps->numbers[*length] = at->numbers[place - 1];
            steps->begins[(*length)++] = place - 1;
            places[place] = 0;
            places[place + 1] = 1;
            continue;
        }
        const uint16_t *own_number = at->numbers + place - 1;
        const char *bad = extend(at, work, place - 1, OWN, own_number, 1, at->as_written[place - 1], &limit);
        if (work->first[place] >= 0 && place > end)
            return OUT_OF_TEXT;
        for (int64_t i = work->first[place]; i >= 0 && !bad; i = work->next[i]) {
            const int64_t first = at->bounds[at->rows[i]], size = at->bounds[at->rows[i] + 1] - first;
            if (at->starts[i] < begin)
                bad = OUT_OF_TEXT;
            else if (at->channels[i] == channel || !at->channels[i])
                bad = extend(at, work, at->starts[i], i, at->members + first, size, at->scores[i], &limit);
        }
        if (bad)
            return bad;
        for (int64_t i = own; i < work->count; i++)
            if (work->states[i].best >= limit)
                work->states[near++] = work->states[i];
        work->count = near;
        if (near - own == 1 && far <= place) {
            *length = write_path(at, work->states, own, place, *length, steps);
            *value += work->states[own].best;
            work->states[0] = (State){.number = work->states[own].number};
            places[place] = 0;
            work->count = 1;
        }
        places[place + 1] = work->count;
    }
    return NULL;
}

/* Find the best path through each text, by the channel that gives it the highest value. Set the number of steps; return
   an error of the lattice, or NULL. */
static const char *find_paths(const Lattice *at, Work *work, int64_t *length)
{
    int64_t text = 0;
    for (int64_t begin = 0, end; begin < at->last; begin = end + 1) {
        int64_t written = 0, size, value, other_size, other_value;
        const Steps *other = &work->other;
        const Steps steps = {at->path.begins + *length, at->path.numbers + *length};
        int channels = 0; /* how many to try: if the text has arcs of any channel, all are tried */
        for (end = begin; end < at->last && at->numbers[end] != at->end; end++)
            for (int channel = 1; channel <= CHANNELS; channel++)
                channels = work->reach[end][channel] ? CHANNELS : channels;
        if (end == at->last || text == at->texts)
            return NO_END;
        for (int64_t place = begin; place <= end; place++)
            written += value_of(at, work, place > begin ? at->numbers[place - 1] : at->end, place);
        const char *bad = find_path(at, work, begin, end, channels ? 1 : 0, &steps, &size, &value);
        for (int channel = 2; channel <= channels && !bad; channel++) {
            bad = find_path(at, work, begin, end, channel, other, &other_size, &other_value);
            if (bad || other_value <= value)
                continue;
            value = other_value;
            size = other_size;
            memcpy(steps.begins, other->begins, (size_t)size * sizeof *steps.begins);
            memcpy(steps.numbers, other->numbers, (size_t)size * sizeof *steps.numbers);
        }
        if (bad)
            return bad;
        at->gains[text++] = value - written;
        *length += size;
    }
    return text == at->texts ? NULL : NO_END;
}

const char lattice_likeliest_doc[] =
    PyDoc_STR("likeliest(numbers, as_written, starts, ends, rows, scores, channels, bounds, members, pairs, worth,\n"
              "          logs, row, margin, end, begins, numbers, gains)\n--\n\n"
              "Fill the last three arguments, as `fraudscan.lattice.likeliest` does; return the number of steps.");

PyObject *lattice_likeliest(PyObject *Py_UNUSED(self), PyObject *args)
{
    enum { NUMBERS, WRITTEN, STARTS, ENDS, ROWS, SCORED, BY, BOUNDS, MEMBERS, PAIRS, WORTH, LOGS, BEGINS, READ, GAINS,
           ARRAYS };
    static const Py_ssize_t bytes[] = {2, 8, 8, 8, 8, 8, 1, 8, 2, 1, 2, 4, 8, 2, 8};
    PyObject *result = NULL;
    Py_buffer array[ARRAYS];
    Py_ssize_t size[ARRAYS], row;
    unsigned int end;
    int64_t length = 0;
    long long margin;
    Work work = {.room = 1, .most = 1};
    const char *bad;

    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*y*y*y*y*nLIw*w*w*:likeliest", &array[0], &array[1], &array[2],
                          &array[3], &array[4], &array[5], &array[6], &array[7], &array[8], &array[9], &array[10],
                          &array[11], &row, &margin, &end, &array[12], &array[13], &array[14]))
        return NULL;
    if (count_all(array, bytes, size, ARRAYS) < 0)
        goto done;
    if (!size[NUMBERS] || size[WRITTEN] != size[NUMBERS] || size[BEGINS] != size[NUMBERS] ||
        size[READ] != size[NUMBERS] || size[ENDS] != size[STARTS] || size[ROWS] != size[STARTS] ||
        size[SCORED] != size[STARTS] || size[BY] != size[STARTS] || !size[BOUNDS] || size[WORTH] != SCORES || row < 1 ||
        size[LOGS] != row || size[PAIRS] / row < row || margin < 0 || margin > FARTHEST) {
        PyErr_SetString(PyExc_ValueError, "the sizes of the arrays do not fit each other");
        goto done;
    }
    if (end >= (size_t)row) {
        PyErr_SetString(PyExc_ValueError, BEYOND);
        goto done;
    }
    const Lattice lattice = {.numbers = array[NUMBERS].buf,
                             .as_written = array[WRITTEN].buf,
                             .starts = array[STARTS].buf,
                             .ends = array[ENDS].buf,
                             .rows = array[ROWS].buf,
                             .scores = array[SCORED].buf,
                             .channels = array[BY].buf,
                             .bounds = array[BOUNDS].buf,
                             .members = array[MEMBERS].buf,
                             .pairs = array[PAIRS].buf,
                             .logs = array[LOGS].buf,
                             .last = size[NUMBERS],
                             .arcs = size[STARTS],
                             .choices = size[BOUNDS] - 1,
                             .all_members = size[MEMBERS],
                             .width = row,
                             .margin = margin,
                             .texts = size[GAINS],
                             .end = (uint16_t)end,
                             .path = {array[BEGINS].buf, array[READ].buf},
                             .gains = array[GAINS].buf};
    Py_BEGIN_ALLOW_THREADS
    const size_t places = (size_t)lattice.last;
    work.first = PyMem_RawMalloc((places + 1) * sizeof *work.first);
    work.reach = PyMem_RawMalloc((places + 1) * sizeof *work.reach);
    work.places = PyMem_RawMalloc((places + 2) * sizeof *work.places);
    work.next = PyMem_RawMalloc((size_t)(lattice.arcs + 1) * sizeof *work.next);
    work.states = PyMem_RawMalloc(sizeof *work.states);
    work.other = (Steps){PyMem_RawMalloc(places * sizeof *work.other.begins),
                         PyMem_RawMalloc(places * sizeof *work.other.numbers)};
    int enough = work.first && work.reach && work.places && work.next && work.states && work.other.begins &&
                 work.other.numbers;
    bad = enough ? list_arcs(&lattice, &work) : NO_MEMORY;
    work.ways = PyMem_RawMalloc((size_t)work.most * sizeof *work.ways);
    for (int i = 0; i < SCORES; i++)
        work.worth[i] = ((int16_t *)array[WORTH].buf)[i] * HIGH;
    if (!bad)
        bad = work.ways ? find_paths(&lattice, &work, &length) : NO_MEMORY;
    PyMem_RawFree(work.first);
    PyMem_RawFree(work.reach);
    PyMem_RawFree(work.places);
    PyMem_RawFree(work.next);
    PyMem_RawFree(work.states);
    PyMem_RawFree(work.ways);
    PyMem_RawFree(work.other.begins);
    PyMem_RawFree(work.other.numbers);
    Py_END_ALLOW_THREADS
    if (!failed(bad))
        result = PyLong_FromLongLong(length);
done:
    return release_all(array, ARRAYS, result);
}
