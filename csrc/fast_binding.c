/* A faster binding for Python than `ctypes`: the calls that happen for every chunk of a stream or image, with arrays by the
 * buffer protocol. `ctypes` takes more time for the addresses of five arrays than a small network for a frame.
 *
 * It uses the stable interface of Python (3.11 on) and does not link the library: `connect` takes the addresses of its
 * functions once. The caller checks types, shapes and contiguity; sizes are checked here. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>

typedef int64_t (*step_function)(const void*, const float*, int64_t, const int32_t*, int32_t*, int64_t*, int64_t,
                                 int32_t, int64_t, int32_t);
typedef int32_t (*apply_function)(const void*, const char*, const float*, int64_t, const float*, int32_t, float*);

static step_function step_address;
static apply_function apply_address;

static PyObject* connect(PyObject* self, PyObject* args) {
    unsigned long long step, apply;
    (void)self;
    if (!PyArg_ParseTuple(args, "KK", &step, &apply)) return NULL;
    step_address = (step_function)(uintptr_t)step;
    apply_address = (apply_function)(uintptr_t)apply;
    Py_RETURN_NONE;
}

/* Takes the buffers of `count` objects. Returns 0, and holds none of them, if one is wrong. */
static int acquire(PyObject* const* objects, const int* writable, const Py_ssize_t* bytes, Py_buffer* buffers, int count) {
    for (int i = 0; i < count; ++i) {
        int held = PyObject_GetBuffer(objects[i], &buffers[i], writable[i] ? PyBUF_WRITABLE : PyBUF_SIMPLE) == 0;
        if (held && buffers[i].len == bytes[i]) continue;
        if (held) {
            PyErr_Format(PyExc_ValueError, "array %d has %zd bytes, wanted %zd", i, buffers[i].len, bytes[i]);
            PyBuffer_Release(&buffers[i]);
        }
        while (i-- > 0) PyBuffer_Release(&buffers[i]);
        return 0;
    }
    return 1;
}

static void release(Py_buffer* buffers, int count) {
    for (int i = 0; i < count; ++i) PyBuffer_Release(&buffers[i]);
}

/* step(network, frames, inputs, most, outputs, state_size, x, before, after, y, threads, block, last) -> frames written
 * No tuple of arguments, and no format to be read: of the microseconds of a small network that would be a tenth. */
static PyObject* step(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    enum { kArrays = 6, kArguments = 13 };
    Py_buffer buffers[4];
    Py_ssize_t sizes[kArguments];
    (void)self;
    if (count != kArguments) {
        PyErr_Format(PyExc_TypeError, "step() takes 13 arguments, not %zd", count);
        return NULL;
    }
    for (int i = 1; i < kArguments; ++i) {
        if (i >= kArrays && i < kArrays + 4) continue;
        sizes[i] = PyLong_AsSsize_t(args[i]);
        if (sizes[i] == -1 && PyErr_Occurred()) return NULL;
    }
    const void* network = PyLong_AsVoidPtr(args[0]);
    if (network == NULL && PyErr_Occurred()) return NULL;
    const Py_ssize_t frames = sizes[1], inputs = sizes[2], most = sizes[3], outputs = sizes[4], state_size = sizes[5];
    if (step_address == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call connect() first");
        return NULL;
    }
    const int writable[4] = {0, 0, 1, 1};
    const Py_ssize_t bytes[4] = {frames * inputs * 4, state_size * 4, state_size * 4, most * outputs * 8};
    if (!acquire(args + kArrays, writable, bytes, buffers, 4)) return NULL;
    int64_t written;
    Py_BEGIN_ALLOW_THREADS;
    written = step_address(network, buffers[0].buf, frames, buffers[1].buf, buffers[2].buf, buffers[3].buf, most,
                           (int32_t)sizes[10], sizes[11], (int32_t)sizes[12]);
    Py_END_ALLOW_THREADS;
    release(buffers, 4);
    return PyLong_FromLongLong(written);
}

/* apply(matrix, target, frames, columns, rows, x, scale, y, threads) -> 0, or -1 */
static PyObject* apply(PyObject* self, PyObject* args) {
    unsigned long long matrix;
    const char* target;
    Py_ssize_t frames, columns, rows;
    int threads;
    PyObject* arrays[3];
    Py_buffer buffers[3];
    (void)self;
    if (!PyArg_ParseTuple(args, "KznnnOOOi", &matrix, &target, &frames, &columns, &rows, &arrays[0], &arrays[1],
                          &arrays[2], &threads))
        return NULL;
    if (apply_address == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "call connect() first");
        return NULL;
    }
    const int writable[3] = {0, 0, 1};
    const Py_ssize_t bytes[3] = {frames * columns * 4, rows * 4, frames * rows * 4};
    if (!acquire(arrays, writable, bytes, buffers, 3)) return NULL;
    int32_t done;
    Py_BEGIN_ALLOW_THREADS;
    done = apply_address((const void*)(uintptr_t)matrix, target, buffers[0].buf, frames, buffers[1].buf, threads,
                         buffers[2].buf);
    Py_END_ALLOW_THREADS;
    release(buffers, 3);
    return PyLong_FromLong(done);
}

/* interleave(x, y, planes, places): y[place][plane] = x[plane][place], for floats; a call of NumPy copies places one by one. */
static PyObject* interleave(PyObject* self, PyObject* args) {
    Py_ssize_t planes, places;
    PyObject* arrays[2];
    Py_buffer buffers[2];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOnn", &arrays[0], &arrays[1], &planes, &places)) return NULL;
    const int writable[2] = {0, 1};
    const Py_ssize_t bytes[2] = {planes * places * 4, planes * places * 4};
    if (!acquire(arrays, writable, bytes, buffers, 2)) return NULL;
    for (Py_ssize_t i = 0; i < planes; ++i) {
        const float* x = (const float*)buffers[0].buf + i * places;
        float* y = (float*)buffers[1].buf + i;
        for (Py_ssize_t k = 0; k < places; ++k) y[k * planes] = x[k];
    }
    release(buffers, 2);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"connect", connect, METH_VARARGS, "Addresses of fewbit_network_step and fewbit_matrix_apply."},
    {"step", (PyCFunction)(void (*)(void))step, METH_FASTCALL, "fewbit_network_step with arrays."},
    {"apply", apply, METH_VARARGS, "fewbit_matrix_apply with arrays."},
    {"interleave", interleave, METH_VARARGS, "Planes of floats to places."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "fast_binding", .m_methods = methods};

PyMODINIT_FUNC PyInit_fast_binding(void) { return PyModule_Create(&module); }
