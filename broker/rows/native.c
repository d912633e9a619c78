/* DataRow messages in bulk: what plain.py does, compiled.
 *
 * Nothing here decides anything: a row that may hold a sensitive value, and a cell that is not
 * plain ASCII, are handed back to Python. Every length is checked before it is used; a block that
 * is not made of whole rows with the right number of cells raises Malformed.
 *
 * Only the stable ABI of CPython 3.11 is used, so one build serves every later version.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define VERSION 1
#define CELL_LIMIT 1000 /* characters of a cell in a transcript; plain.py says so too */

static PyObject *malformed;

/* -- reading -------------------------------------------------------------------------------- */

static uint32_t be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A row that begins at `at`: where its cells begin and where it ends. 0 when it is none. */
static int read_head(const uint8_t *data, Py_ssize_t size, Py_ssize_t at, long columns,
                     Py_ssize_t *cells, Py_ssize_t *end) {
    uint32_t length;
    if (size - at < 7 || data[at] != 'D')
        return 0;
    length = be32(data + at + 1);
    if (length < 6 || length > INT32_MAX || (Py_ssize_t)length > size - at - 1)
        return 0;
    if (((long)data[at + 5] << 8 | data[at + 6]) != columns)
        return 0;
    *cells = at + 7;
    *end = at + 1 + (Py_ssize_t)length;
    return 1;
}

/* The cell at `*at`, which moves behind it: its size, -1 for NULL, -2 when it does not fit. */
static Py_ssize_t read_cell(const uint8_t *data, Py_ssize_t *at, Py_ssize_t end) {
    uint32_t length;
    if (end - *at < 4)
        return -2;
    length = be32(data + *at);
    *at += 4;
    if (length == 0xFFFFFFFFu)
        return -1;
    if (length > INT32_MAX || (Py_ssize_t)length > end - *at)
        return -2;
    *at += (Py_ssize_t)length;
    return (Py_ssize_t)length;
}

static PyObject *not_rows(void) {
    PyErr_SetString(malformed, "not whole rows of as many cells as there are columns");
    return NULL;
}

/* -- writing -------------------------------------------------------------------------------- */

typedef struct {
    char *data;
    Py_ssize_t size, room;
} Out;

static int reserve(Out *out, Py_ssize_t more) {
    Py_ssize_t room;
    char *data;
    if (more <= out->room - out->size)
        return 1;
    if (more > PY_SSIZE_T_MAX / 4 || out->room > PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return 0;
    }
    room = out->room + out->room / 2 + more + 64;
    data = PyMem_Realloc(out->data, (size_t)room);
    if (data == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    out->data = data;
    out->room = room;
    return 1;
}

static int put(Out *out, const void *data, Py_ssize_t size) {
    if (size == 0)
        return 1;
    if (!reserve(out, size))
        return 0;
    memcpy(out->data + out->size, data, (size_t)size);
    out->size += size;
    return 1;
}

/* What Python makes of some bytes: bytes again, appended. */
static int put_called(Out *out, PyObject *call, const uint8_t *data, Py_ssize_t size) {
    PyObject *answer = PyObject_CallFunction(call, "y#", (const char *)data, size);
    char *made;
    Py_ssize_t length;
    int done;
    if (answer == NULL)
        return 0;
    if (PyBytes_AsStringAndSize(answer, &made, &length) < 0) {
        Py_DECREF(answer);
        return 0;
    }
    done = put(out, made, length);
    Py_DECREF(answer);
    return done;
}

/* -- could a detector find anything in a cell? ------------------------------------------------ */

enum { EMAIL = 1, CARD = 2, SSN = 4, IBAN = 8, PHONE = 16, SECRETS = 32 };
enum { DIGIT = 1, JOINS = 2, POINT = 4, PLUS = 8, CLOSES = 16, HINT = 32, LETTER = 64 };

static const char *const HINTS[] = {
    "akia", "asia", "aiza", "basic", "bearer", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "glpat-", "key", "k_live_", "k_test_", "npm_", "pass", "pwd", "secret",
    "sk-proj-", "sk-ant-", "token", "xapp-", "xox", "://", "-----begin", NULL,
};
/* Those that need more around them. */
enum { BASIC = 3, BEARER = 4, KEY = 13, PASS = 17, URL = 25 };
/* The countries that have IBANs, as broker.mask.numbers has them. */
static const char COUNTRIES[] =
    "ADAEALATAZBABEBFBGBHBIBJBRBYCFCGCHCICMCRCYCZDEDJDKDODZEEEGESFIFKFOFRGBGEGIGLGRGTGWHNHRHUIE"
    "ILIQISITJOKMKWKZLBLCLILTLULVLYMAMCMDMEMGMKMLMNMRMTMUMZNENINLNOOMPKPLPSPTQARORSRUSASCSDSESI"
    "SKSMSNSOSTSVTDTGTLTNTRUAVAVGXKYE";
static uint8_t has_iban[26 * 26];
static uint8_t class_of[256];
static uint8_t lower[256];
static uint32_t first[256], second[256]; /* a bit for each hint, by its first two characters */

static void make_tables(void) {
    int c, n;
    for (c = 0; c < 256; c++) {
        lower[c] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        class_of[c] = (uint8_t)(c >= '0' && c <= '9' ? DIGIT : 0);
        if (lower[c] >= 'a' && lower[c] <= 'z')
            class_of[c] = LETTER;
    }
    class_of[' '] = class_of['-'] = JOINS;
    class_of['.'] = POINT;
    class_of['+'] = PLUS;
    class_of[')'] = CLOSES;
    for (n = 0; COUNTRIES[n]; n += 2)
        has_iban[(COUNTRIES[n] - 'A') * 26 + COUNTRIES[n + 1] - 'A'] = 1;
    for (n = 0; HINTS[n] != NULL; n++)
        for (c = 0; c < 256; c++) {
            if (lower[c] == (uint8_t)HINTS[n][0]) {
                class_of[c] |= HINT;
                first[c] |= 1u << n;
            }
            if (lower[c] == (uint8_t)HINTS[n][1])
                second[c] |= 1u << n;
        }
}

static int is(const uint8_t *s, Py_ssize_t from, Py_ssize_t to, Py_ssize_t n, int what) {
    if (from < 0 || to > n)
        return 0;
    for (; from < to; from++)
        if (!(class_of[s[from]] & what))
            return 0;
    return 1;
}

static int is_upper_or_digit(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (class_of[c] & DIGIT);
}

/* 000-00-0000 and 000 00 0000, whose first separator is at `i`. */
static int may_be_ssn(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) {
    return i + 8 <= n && s[i + 3] == s[i] && is(s, i - 3, i, n, DIGIT) &&
           is(s, i + 1, i + 3, n, DIGIT) && is(s, i + 4, i + 8, n, DIGIT);
}

/* 000-000-0000, 000.000.0000, 000 000 0000 and 000 000-0000, whose first separator is at `i`. */
static int may_be_called(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) {
    return i + 9 <= n && (s[i + 4] == s[i] || (s[i] == ' ' && s[i + 4] == '-')) &&
           is(s, i - 3, i, n, DIGIT) && is(s, i + 1, i + 4, n, DIGIT) &&
           is(s, i + 5, i + 9, n, DIGIT);
}

static int may_be_international(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) {
    Py_ssize_t at;
    if (i + 9 > n || s[i + 1] < '1' || s[i + 1] > '9')
        return 0;
    for (at = i + 2; at < i + 9; at++)
        if (!(class_of[s[at]] & (DIGIT | JOINS | POINT | CLOSES)) && s[at] != '(')
            return 0;
    return 1;
}

/* Two letters and two digits, the first of which is at `i`, and enough behind them. */
static int may_be_iban(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) {
    if (!is(s, i - 2, i, n, LETTER) || !is(s, i, i + 2, n, DIGIT))
        return 0;
    if (!has_iban[(lower[s[i - 2]] - 'a') * 26 + lower[s[i - 1]] - 'a'])
        return 0;
    if (i > 2 && (class_of[s[i - 3]] & (LETTER | DIGIT)))
        return 0;
    if (is(s, i + 2, i + 13, n, LETTER | DIGIT))
        return 1;
    return i + 9 <= n && s[i + 2] == ' ' && s[i + 7] == ' ' && is_upper_or_digit(s[i + 3]) &&
           is_upper_or_digit(s[i + 4]) && is_upper_or_digit(s[i + 5]) &&
           is_upper_or_digit(s[i + 6]) && is_upper_or_digit(s[i + 8]);
}

/* Is what stands around a hint what its detector needs? */
static int is_surrounded(const uint8_t *s, Py_ssize_t i, Py_ssize_t end, Py_ssize_t n, int hint) {
    uint8_t before = i > 0 ? s[i - 1] : 0, after = end < n ? lower[s[end]] : 0;
    switch (hint) {
    case BASIC:
    case BEARER:
        return after == ' ' || after == '\t';
    case PASS:
        return before == '_' || before == '-' || after == 'w' || after == 'p' || after == 'c';
    case KEY: /* api, access, private, auth, account */
        if ((before == '_' || before == '-') && i > 1)
            before = s[i - 2];
        return before != 0 && strchr("isehtISEHT", before) != NULL;
    case URL:
        return memchr(s, '@', (size_t)n) != NULL;
    default:
        return 1;
    }
}

static int may_be_secret(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) {
    uint32_t may = i + 1 < n ? first[s[i]] & second[s[i + 1]] : 0;
    int hint;
    for (hint = 0; may; hint++, may >>= 1) {
        const char *word = HINTS[hint];
        Py_ssize_t at = i;
        if (!(may & 1))
            continue;
        while (*word && at < n && lower[s[at]] == (uint8_t)*word)
            word++, at++;
        if (!*word && is_surrounded(s, i, at, n, hint))
            return 1;
    }
    return 0;
}

static int suspicious(const uint8_t *s, Py_ssize_t n, unsigned bits) {
    Py_ssize_t i, digits = 0;
    if ((bits & EMAIL) && memchr(s, '@', (size_t)n) != NULL)
        return 1;
    if (!(bits & ~(unsigned)EMAIL))
        return 0;
    for (i = 0; i < n; i++) {
        unsigned c = class_of[s[i]];
        if (c & DIGIT) {
            if (digits || i == 0 || (!(class_of[s[i - 1]] & (LETTER | DIGIT)) && s[i - 1] != '_'))
                digits++;
            if (digits >= 13 && (bits & CARD))
                return 1;
            if ((bits & IBAN) && i >= 2 && may_be_iban(s, i, n))
                return 1;
            continue;
        }
        if (c & (JOINS | POINT)) {
            if ((bits & SSN) && (c & JOINS) && may_be_ssn(s, i, n))
                return 1;
            if ((bits & PHONE) && may_be_called(s, i, n))
                return 1;
            if (!(c & JOINS))
                digits = 0;
        } else {
            digits = 0;
            if ((c & PLUS) && (bits & PHONE) && may_be_international(s, i, n))
                return 1;
            if ((c & CLOSES) && (bits & PHONE) &&
                (is(s, i + 1, i + 4, n, DIGIT) ||
                 (i + 1 < n && s[i + 1] == ' ' && is(s, i + 2, i + 5, n, DIGIT))))
                return 1;
        }
        if ((c & HINT) && (bits & SECRETS) && may_be_secret(s, i, n))
            return 1;
    }
    return 0;
}

/* -- what Python calls ------------------------------------------------------------------------ */

PyDoc_STRVAR(hop_doc, "hop(data, at, kind, at_most, limit) -> (count, end)\n\n"
                      "Whole messages of one type from `at` on; stops before one that is too long.");

static PyObject *hop(PyObject *self, PyObject *args) {
    Py_buffer data;
    Py_ssize_t at, at_most, limit, count = 0;
    int kind;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*ninn", &data, &at, &kind, &at_most, &limit))
        return NULL;
    if (at < 0)
        at = 0;
    while (count != at_most && data.len - at >= 5) {
        const uint8_t *head = (const uint8_t *)data.buf + at;
        uint32_t length = be32(head + 1);
        if (head[0] != kind || length < 4 || length > INT32_MAX ||
            (Py_ssize_t)length - 4 > limit || (Py_ssize_t)length > data.len - at - 1)
            break;
        at += 1 + (Py_ssize_t)length;
        count++;
    }
    PyBuffer_Release(&data);
    return Py_BuildValue("nn", count, at);
}

PyDoc_STRVAR(show_doc, "show(block, columns, odd) -> bytes\n\n"
                       "Rows as lines; `odd` shows a cell that is not short printable ASCII.");

static int show_cell(Out *out, const uint8_t *cell, Py_ssize_t size, PyObject *odd) {
    Py_ssize_t i;
    if (size < 0)
        return put(out, "NULL", 4);
    if (size > CELL_LIMIT)
        return put_called(out, odd, cell, size);
    for (i = 0; i < size; i++)
        if (cell[i] < 0x20 || cell[i] > 0x7E)
            return put_called(out, odd, cell, size);
    return put(out, cell, size);
}

static PyObject *show(PyObject *self, PyObject *args) {
    PyObject *block, *odd, *answer = NULL;
    const uint8_t *data;
    Py_ssize_t size, at = 0, end;
    long columns, i;
    Out out = {NULL, 0, 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "SlO", &block, &columns, &odd))
        return NULL;
    data = (const uint8_t *)PyBytes_AsString(block);
    size = PyBytes_Size(block);
    if (!reserve(&out, size))
        return NULL;
    while (at < size) {
        if (!read_head(data, size, at, columns, &at, &end))
            goto bad;
        for (i = 0; i < columns; i++) {
            Py_ssize_t cell = read_cell(data, &at, end);
            if (cell == -2)
                goto bad;
            if ((i && !put(&out, "\t", 1)) ||
                !show_cell(&out, data + at - (cell > 0 ? cell : 0), cell, odd))
                goto done;
        }
        if (at != end)
            goto bad;
        if (!put(&out, "\r\n", 2))
            goto done;
    }
    answer = PyBytes_FromStringAndSize(out.data, out.size);
    goto done;
bad:
    not_rows();
done:
    PyMem_Free(out.data);
    return answer;
}

PyDoc_STRVAR(mask_doc,
             "mask(block, columns, styles, bits, suspects, row) -> (block, stars)\n\n"
             "Rows masked; `row` is given each that Python has to look at. `styles` has one byte\n"
             "for each column: 0 leave, 1 search, 2 stars, 3 ask Python, 4 a binary integer,\n"
             "5 partial.");

enum { LEAVE, SEARCH, STARS, ASK, INTEGER, PARTIAL };

static int is_long_integer(const uint8_t *cell, Py_ssize_t size) {
    uint64_t value;
    if (size == 2 || size == 4)
        return 0;
    if (size != 8)
        return 1;
    value = (uint64_t)be32(cell) << 32 | be32(cell + 4);
    if (value >> 63)
        value = 0 - value;
    return value >= 1000000000000u;
}

/* Has Python to look at this cell? */
static int asks(const uint8_t *cell, Py_ssize_t size, char style, unsigned bits) {
    Py_ssize_t i;
    switch (style) {
    case SEARCH:
        return suspicious(cell, size, bits);
    case STARS:
    case PARTIAL:
        for (i = 0; i < size; i++)
            if (cell[i] & 0x80)
                return 1;
        return 0;
    case INTEGER:
        return is_long_integer(cell, size);
    case LEAVE:
        return 0;
    default:
        return 1;
    }
}

/* The row's cells: 1 when Python has to look at them, 0 when not, -1 when they are malformed. */
static int look(const uint8_t *data, Py_ssize_t at, Py_ssize_t end, const char *styles,
                long columns, unsigned bits, Py_ssize_t *stars) {
    long i;
    int ask = 0;
    *stars = 0;
    for (i = 0; i < columns; i++) {
        Py_ssize_t cell = read_cell(data, &at, end);
        if (cell == -2)
            return -1;
        if (cell == -1)
            continue;
        if (styles[i] == STARS || styles[i] == PARTIAL)
            ++*stars;
        ask = ask || asks(data + at - cell, cell, styles[i], bits);
    }
    return at == end ? ask : -1;
}

static int stays(char c) {
    return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '+';
}

/* In place: an address as its first letter and its shape, a long number as its last four digits,
 * anything else as stars; as mask.values has it, for ASCII. */
static void hide_most(char *cell, Py_ssize_t size) {
    Py_ssize_t i, digits = 0, shown = 0;
    if (memchr(cell, '@', (size_t)size) != NULL) {
        for (i = 1; i < size; i++)
            if (cell[i] != '@' && cell[i] != '.')
                cell[i] = '*';
        return;
    }
    for (i = 0; i < size; i++)
        digits += class_of[(uint8_t)cell[i]] & DIGIT;
    if (digits < 8 || digits * 2 < size) {
        memset(cell, '*', (size_t)size);
        return;
    }
    for (i = size - 1; i >= 0; i--) {
        if ((class_of[(uint8_t)cell[i]] & DIGIT) && shown < 4)
            shown++;
        else if (!stays(cell[i]))
            cell[i] = '*';
    }
}

/* The row again, with stars in its cells; it was looked at before. */
static int put_stars(Out *out, const uint8_t *data, Py_ssize_t start, Py_ssize_t end,
                     const char *styles, long columns) {
    Py_ssize_t from = out->size, at = start + 7;
    long i;
    if (!put(out, data + start, end - start))
        return 0;
    for (i = 0; i < columns; i++) {
        Py_ssize_t cell = read_cell(data, &at, end);
        char *copy = out->data + from + (at - (cell > 0 ? cell : 0) - start);
        if (cell > 0 && styles[i] == STARS)
            memset(copy, '*', (size_t)cell);
        else if (cell > 0 && styles[i] == PARTIAL)
            hide_most(copy, cell);
    }
    return 1;
}

static PyObject *mask(PyObject *self, PyObject *args) {
    PyObject *block, *wanted, *row, *unused, *answer = NULL;
    const uint8_t *data;
    const char *styles;
    Py_ssize_t size, at = 0, copied = 0, end, cells, stars, all_stars = 0;
    long columns;
    unsigned bits;
    int ask;
    Out out = {NULL, 0, 0};
    (void)self;
    if (!PyArg_ParseTuple(args, "SlSIOO", &block, &columns, &wanted, &bits, &unused, &row))
        return NULL;
    data = (const uint8_t *)PyBytes_AsString(block);
    size = PyBytes_Size(block);
    styles = PyBytes_AsString(wanted);
    if (PyBytes_Size(wanted) != columns)
        return not_rows();
    for (; at < size; at = end) {
        if (!read_head(data, size, at, columns, &cells, &end))
            goto bad;
        ask = look(data, cells, end, styles, columns, bits, &stars);
        if (ask < 0)
            goto bad;
        if (!ask && !stars)
            continue;
        if (!put(&out, data + copied, at - copied))
            goto done;
        copied = end;
        if (ask ? !put_called(&out, row, data + at, end - at)
                : !put_stars(&out, data, at, end, styles, columns))
            goto done;
        if (!ask)
            all_stars += stars;
    }
    if (copied == 0) {
        answer = Py_BuildValue("On", block, (Py_ssize_t)0);
    } else if (put(&out, data + copied, size - copied)) {
        PyObject *made = PyBytes_FromStringAndSize(out.data, out.size);
        if (made != NULL)
            answer = Py_BuildValue("Nn", made, all_stars);
    }
    goto done;
bad:
    not_rows();
done:
    PyMem_Free(out.data);
    return answer;
}

PyDoc_STRVAR(may_hold_doc, "may_hold(cell, bits) -> bool\n\nCould a detector find anything?");

static PyObject *may_hold(PyObject *self, PyObject *args) {
    PyObject *cell;
    unsigned bits;
    (void)self;
    if (!PyArg_ParseTuple(args, "SI", &cell, &bits))
        return NULL;
    return PyBool_FromLong(
        suspicious((const uint8_t *)PyBytes_AsString(cell), PyBytes_Size(cell), bits));
}

static PyMethodDef methods[] = {
    {"hop", hop, METH_VARARGS, hop_doc},
    {"show", show, METH_VARARGS, show_doc},
    {"mask", mask, METH_VARARGS, mask_doc},
    {"may_hold", may_hold, METH_VARARGS, may_hold_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "DataRow messages in bulk, compiled.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *made = PyModule_Create(&module);
    if (made == NULL)
        return NULL;
    make_tables();
    malformed = PyErr_NewException("broker.rows._native.Malformed", PyExc_ValueError, NULL);
    if (malformed == NULL || PyModule_AddObjectRef(made, "Malformed", malformed) < 0 ||
        PyModule_AddIntConstant(made, "VERSION", VERSION) < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
