/* A CUDA driver whose GPU is the host's memory: what cuda-bindings and FFmpeg call is there, with NVIDIA's binary interface, and done at once.
 * As the real one it refuses calls of threads that have no context, and memory beyond STANDIN_MEMORY bytes. It computes nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_CONTEXT = 201, NOT_FOUND = 500, NOT_SUPPORTED = 801 };
enum { HEADER = 512, STACK = 16 };

static int primary, retained;
static unsigned flags;
static __thread void *stack[STACK];
static __thread int depth;
static size_t used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *current(void) { return depth ? stack[depth - 1] : NULL; }
#define NEEDS_CONTEXT do { if (!current()) return INVALID_CONTEXT; } while (0)

/* --- device and context --- */
int cuInit(unsigned f) { (void)f; return getenv("STANDIN_NO_GPU") ? NO_DEVICE : OK; }
int cuDriverGetVersion(int *v) { *v = 13000; return OK; }
int cuDeviceGetCount(int *n) { *n = 1; return OK; }
int cuDeviceGet(int *d, int i) { *d = 0; return i ? INVALID_VALUE : OK; }
int cuDeviceGetName(char *name, int size, int d) { (void)d; snprintf(name, size, "Stand-in"); return OK; }
int cuDeviceTotalMem_v2(size_t *bytes, int d) { (void)d; *bytes = 8ull << 30; return OK; }
int cuDeviceComputeCapability(int *major, int *minor, int d) { (void)d; *major = 8; *minor = 9; return OK; }
int cuDeviceGetUuid(char *uuid, int d) { (void)d; memset(uuid, 1, 16); return OK; }
int cuDeviceGetAttribute(int *value, int which, int d)
{
    (void)d;
    *value = which == 75 ? 8 : which == 76 ? 9 : which == 14 /* texture alignment */ ? 512 : 0;
    return OK;
}
int cuDevicePrimaryCtxRetain(void **c, int d) { (void)d; retained++; *c = &primary; return OK; }
int cuDevicePrimaryCtxRelease_v2(int d) { (void)d; return retained-- > 0 ? OK : INVALID_CONTEXT; }
int cuDevicePrimaryCtxRelease(int d) { return cuDevicePrimaryCtxRelease_v2(d); }
int cuDevicePrimaryCtxGetState(int d, unsigned *f, int *active) { (void)d; *f = flags; *active = retained > 0; return OK; }
int cuDevicePrimaryCtxSetFlags_v2(int d, unsigned f) { (void)d; flags = f; return OK; }
int cuDevicePrimaryCtxSetFlags(int d, unsigned f) { return cuDevicePrimaryCtxSetFlags_v2(d, f); }
int cuCtxSetCurrent(void *c) { if (!depth) depth = 1; stack[depth - 1] = c; return OK; }
int cuCtxGetCurrent(void **c) { *c = current(); return OK; }
int cuCtxPushCurrent_v2(void *c) { if (depth == STACK) return INVALID_VALUE; stack[depth++] = c; return OK; }
int cuCtxPopCurrent_v2(void **c) { NEEDS_CONTEXT; depth--; if (c) *c = stack[depth]; return OK; }
int cuCtxGetDevice(int *d) { NEEDS_CONTEXT; *d = 0; return OK; }
int cuCtxSynchronize(void) { NEEDS_CONTEXT; return OK; }
int cuGetErrorString(int e, const char **text) { *text = e == INVALID_CONTEXT ? "invalid device context" : "an error"; return OK; }
int cuGetErrorName(int e, const char **text) { (void)e; *text = "CUDA_ERROR"; return OK; }

/* --- memory --- */
static int allocate(void **where, size_t size)
{
    const char *most = getenv("STANDIN_MEMORY");
    char *block = NULL;
    pthread_mutex_lock(&lock);
    int fits = !most || used + size <= (size_t)atoll(most);
    if (fits && (fits = !posix_memalign((void **)&block, 512, HEADER + size)))
        used += *(size_t *)block = size;
    pthread_mutex_unlock(&lock);
    if (!fits)
        return OUT_OF_MEMORY;
    *where = block + HEADER;
    return OK;
}
static int release(char *where)
{
    pthread_mutex_lock(&lock);
    used -= *(size_t *)(where - HEADER);
    pthread_mutex_unlock(&lock);
    free(where - HEADER);
    return OK;
}
int cuMemAlloc_v2(uint64_t *p, size_t n) { NEEDS_CONTEXT; return allocate((void **)p, n); }
int cuMemAllocPitch_v2(uint64_t *p, size_t *pitch, size_t w, size_t h, unsigned e) { (void)e; *pitch = (w + 511) / 512 * 512; return cuMemAlloc_v2(p, *pitch * h); }
int cuMemFree_v2(uint64_t p) { NEEDS_CONTEXT; return release((char *)p); }
int cuMemHostAlloc(void **p, size_t n, unsigned f) { (void)f; NEEDS_CONTEXT; return allocate(p, n); }
int cuMemFreeHost(void *p) { NEEDS_CONTEXT; return release(p); }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *s) { (void)s; NEEDS_CONTEXT; memcpy((void *)to, from, n); return OK; }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *s) { (void)s; NEEDS_CONTEXT; memcpy(to, (void *)from, n); return OK; }
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t n, void *s) { (void)s; NEEDS_CONTEXT; memcpy((void *)to, (void *)from, n); return OK; }
typedef struct { size_t x, y; int kind; void *host; uint64_t device; void *array; size_t pitch; } Side;
typedef struct { Side from, to; size_t width, height; } Copy2D;
int cuMemcpy2DAsync_v2(const Copy2D *c, void *s)
{
    (void)s;
    NEEDS_CONTEXT;
    const char *from = c->from.kind == 1 ? c->from.host : (char *)c->from.device;
    char *to = c->to.kind == 1 ? c->to.host : (char *)c->to.device;
    for (size_t y = 0; y < c->height; y++)
        memcpy(to + (c->to.y + y) * c->to.pitch + c->to.x, from + (c->from.y + y) * c->from.pitch + c->from.x, c->width);
    return OK;
}

/* --- streams, events, graphs: everything has happened already --- */
static int handle(void **h) { NEEDS_CONTEXT; return (*h = malloc(8)) ? OK : OUT_OF_MEMORY; }
static int drop(void *h) { NEEDS_CONTEXT; free(h); return OK; }
int cuStreamCreate(void **s, unsigned f) { (void)f; return handle(s); }
int cuStreamDestroy_v2(void *s) { return drop(s); }
int cuStreamSynchronize(void *s) { (void)s; NEEDS_CONTEXT; return OK; }
int cuStreamQuery(void *s) { (void)s; return OK; }
int cuStreamWaitEvent(void *s, void *e, unsigned f) { (void)s; (void)f; NEEDS_CONTEXT; return e ? OK : INVALID_VALUE; }
int cuStreamBeginCapture_v2(void *s, int mode) { (void)s; (void)mode; NEEDS_CONTEXT; return OK; }
int cuStreamEndCapture(void *s, void **graph) { (void)s; return handle(graph); }
int cuGraphInstantiateWithFlags(void **e, void *g, unsigned long long f) { (void)f; return g ? handle(e) : INVALID_VALUE; }
int cuGraphDestroy(void *g) { return drop(g); }
int cuGraphExecDestroy(void *g) { return drop(g); }
int cuGraphLaunch(void *g, void *s) { (void)s; NEEDS_CONTEXT; return g ? OK : INVALID_VALUE; }
int cuEventCreate(void **e, unsigned f) { (void)f; return handle(e); }
int cuEventDestroy_v2(void *e) { return drop(e); }
int cuEventRecord(void *e, void *s) { (void)s; NEEDS_CONTEXT; return e ? OK : INVALID_VALUE; }
int cuEventSynchronize(void *e) { NEEDS_CONTEXT; return e ? OK : INVALID_VALUE; }
int cuEventQuery(void *e) { (void)e; return OK; }

/* --- what FFmpeg wants to find, and does not call --- */
#define ABSENT(name) int name(void) { return NOT_SUPPORTED; }
ABSENT(cuCtxCreate_v2) ABSENT(cuCtxDestroy_v2) ABSENT(cuCtxSetLimit) ABSENT(cuMemAllocManaged) ABSENT(cuMemsetD8Async) ABSENT(cuMemcpy)
ABSENT(cuMemcpyAsync) ABSENT(cuMemcpy2D_v2) ABSENT(cuMemcpyHtoD_v2) ABSENT(cuMemcpyDtoH_v2) ABSENT(cuMemcpyDtoD_v2)
ABSENT(cuDevicePrimaryCtxReset) ABSENT(cuStreamAddCallback) ABSENT(cuLaunchKernel) ABSENT(cuLinkCreate) ABSENT(cuLinkAddData)
ABSENT(cuLinkComplete) ABSENT(cuLinkDestroy) ABSENT(cuModuleLoadData) ABSENT(cuModuleUnload) ABSENT(cuModuleGetFunction)
ABSENT(cuModuleGetGlobal) ABSENT(cuTexObjectCreate) ABSENT(cuTexObjectDestroy) ABSENT(cuGLGetDevices_v2) ABSENT(cuGraphicsGLRegisterImage)
ABSENT(cuGraphicsUnregisterResource) ABSENT(cuGraphicsMapResources) ABSENT(cuGraphicsUnmapResources)
ABSENT(cuArrayCreate_v2) ABSENT(cuDeviceGetByPCIBusId) ABSENT(cuDeviceGetLuid) ABSENT(cuDeviceGetPCIBusId) ABSENT(cuDeviceGetUuid_v2)
ABSENT(cuGraphicsSubResourceGetMappedArray) ABSENT(cuGraphicsResourceGetMappedPointer_v2) ABSENT(cuArray3DCreate_v2) ABSENT(cuArrayDestroy)

/* cuda-bindings asks for functions by name. */
int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t f, int *answer)
{
    static const char *const forms[] = {"%s_v2", "%sWithFlags", "%s"};
    void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    char full[200];
    (void)version;
    (void)f;
    *found = NULL;
    for (int i = 0; i < 3 && !*found; i++) {
        snprintf(full, sizeof full, forms[i], name);
        *found = dlsym(self, full);
    }
    if (answer)
        *answer = *found ? 0 : 1;
    return *found ? OK : NOT_FOUND;
}
int cuGetProcAddress(const char *name, void **found, int version, uint64_t f) { return cuGetProcAddress_v2(name, found, version, f, NULL); }
