/* A video decoder (NVDEC) that knows its answers: the nth picture that it is given decodes to the nth of the file WIDTHxHEIGHT in the
 * folder STANDIN_PICTURES, NV12 or P016 of that coded size. STANDIN_NVDEC: "unsupported", "create" (no decoder can be made) or a number
 * of pictures after which decoding fails. As the real one it has 32 surfaces at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong_;
enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, UNKNOWN = 999, MOST_SURFACES = 32, YUV420 = 1 };

typedef struct {
    int codec, chroma;
    unsigned deeper, reserved[3];
    unsigned char supported, engines;
    unsigned short formats;
    unsigned max_width, max_height, max_blocks;
    unsigned short min_width, min_height;
} Caps;
typedef struct {
    ulong_ width, height, surfaces;
    int codec, chroma;
    ulong_ creation, deeper, intra, max_width, max_height, reserved;
    short shown[4];
    int format, deinterlace;
    ulong_ target_width, target_height, outputs;
} Create;
typedef struct { int blocks_wide, blocks_high, surface; } Picture;
typedef struct { Create made; FILE *answers; ulong_ row, rows, mapped; int done; char *surface[MOST_SURFACES]; } Decoder;

static const char *fault(void) { const char *named = getenv("STANDIN_NVDEC"); return named ? named : ""; }

int cuvidGetDecoderCaps(Caps *c)
{
    c->supported = strcmp(fault(), "unsupported") && c->chroma == YUV420;
    c->formats = 3;
    c->max_width = c->max_height = 8192;
    c->max_blocks = 262144;
    c->min_width = c->min_height = 16;
    return OK;
}
int cuvidCreateDecoder(Decoder **out, Create *c)
{
    char path[4096];
    if (!strcmp(fault(), "create"))
        return OUT_OF_MEMORY;
    if (c->surfaces > MOST_SURFACES)
        return INVALID_VALUE;
    snprintf(path, sizeof path, "%s/%lux%lu", getenv("STANDIN_PICTURES"), c->target_width, c->target_height);
    Decoder *d = *out = calloc(1, sizeof *d);
    d->made = *c;
    d->answers = fopen(path, "rb");
    d->row = c->target_width * (c->format ? 2 : 1);
    d->rows = c->target_height * 3 / 2;
    return d->answers ? OK : INVALID_VALUE;
}
int cuvidDestroyDecoder(Decoder *d)
{
    for (int i = 0; i < MOST_SURFACES; i++)
        free(d->surface[i]);
    if (d->answers)
        fclose(d->answers);
    free(d);
    return OK;
}
int cuvidDecodePicture(Decoder *d, Picture *p)
{
    if (fault()[0] >= '0' && fault()[0] <= '9' && d->done >= atoi(fault()))
        return UNKNOWN;
    if (p->surface < 0 || p->surface >= (int)d->made.surfaces)
        return INVALID_VALUE;
    char **to = &d->surface[p->surface];
    if (!*to)
        *to = malloc(d->row * d->rows);
    d->done++;
    return fread(*to, d->row, d->rows, d->answers) == d->rows ? OK : UNKNOWN;
}
int cuvidMapVideoFrame64(Decoder *d, int surface, unsigned long long *where, unsigned *pitch, void *how)
{
    (void)how;
    if (d->mapped >= d->made.outputs)
        return OUT_OF_MEMORY;
    *pitch = (d->row + 255) / 256 * 256;
    char *made = malloc((size_t)*pitch * d->rows);
    for (ulong_ y = 0; y < d->rows; y++)
        memcpy(made + y * *pitch, d->surface[surface] + y * d->row, d->row);
    d->mapped++;
    *where = (unsigned long long)made;
    return OK;
}
int cuvidUnmapVideoFrame64(Decoder *d, unsigned long long where) { d->mapped--; free((void *)where); return OK; }

/* What FFmpeg wants to find, and does not call. */
#define ABSENT(name) int name(void) { return UNKNOWN; }
ABSENT(cuvidGetDecodeStatus) ABSENT(cuvidReconfigureDecoder) ABSENT(cuvidCtxLockCreate) ABSENT(cuvidCtxLockDestroy) ABSENT(cuvidCtxLock)
ABSENT(cuvidCtxUnlock) ABSENT(cuvidCreateVideoSource) ABSENT(cuvidCreateVideoSourceW) ABSENT(cuvidDestroyVideoSource)
ABSENT(cuvidSetVideoSourceState) ABSENT(cuvidGetVideoSourceState) ABSENT(cuvidGetSourceVideoFormat) ABSENT(cuvidGetSourceAudioFormat)
ABSENT(cuvidCreateVideoParser) ABSENT(cuvidParseVideoData) ABSENT(cuvidDestroyVideoParser)
