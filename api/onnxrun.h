/* The library for programs in C, and in languages that call C: everything that the C++ headers
   under onnxrun/ do, by handles and plain arrays.

   - A function that can fail returns a status; ONNXRUN_OK is 0. The last failure of the calling
     thread is kept as a line of text, with file, node, operator and input where it has them. No
     exception leaves the library.
   - Handles are made by ..._new, ..._load or an out-parameter, and freed by ..._free, in any order:
     what a handle needs of another it keeps. Freeing NULL does nothing. A model may be used by many
     threads at once, every other handle by one at a time, ..._cancel excepted.
   - Tensors are views: whoever gives one keeps its memory until the call ends, or, where the
     comment says so, until something else is bound. Nothing is copied then.
   - Names of options are those of `onnxrun train --help` without the dashes, and are listed here.

   A process that holds another protobuf, as one that imported TensorFlow does, loads the library
   with RTLD_DEEPBIND (ctypes.CDLL(path, mode=os.RTLD_DEEPBIND)).

   Functions are added, never changed; onnxrun_abi_version() tells a program what it has been linked
   with. */
#ifndef ONNXRUN_H
#define ONNXRUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONNXRUN_ABI_VERSION 1

/* ONNXRUN_ABI_VERSION of the library. */
int32_t onnxrun_abi_version(void);
/* "0.1.0" */
const char* onnxrun_version(void);

/* The numbers are the exit codes of the command. */
/* NOLINTBEGIN(readability-identifier-naming): C's own way */
typedef enum {
  ONNXRUN_OK = 0,
  ONNXRUN_USAGE = 2,
  ONNXRUN_BAD_MODEL = 3,
  ONNXRUN_UNSUPPORTED = 4,
  ONNXRUN_BAD_INPUT = 5,
  ONNXRUN_NUMERIC =
      6, /* a loss, gradient or weight is not finite; weights are those of the last good step */
  ONNXRUN_LIMIT = 7,
  ONNXRUN_CANNOT_WRITE = 8,
  ONNXRUN_INTERNAL = 70,
  ONNXRUN_TIMEOUT = 124,
  ONNXRUN_CANCELLED = 130
} onnxrun_status;
/* NOLINTEND(readability-identifier-naming) */

/* Of the calling thread's last failure; "" if there was none, or it has no such part. Valid until
 * its next failure. */
const char* onnxrun_error(void); /* one line, with the places */
const char* onnxrun_error_file(void);
const char* onnxrun_error_node(void);
const char* onnxrun_error_operator(void);
const char* onnxrun_error_input(void);

/* What the library has to say while it works: warnings, what it chose. One line of text without an
   end of line; 0 is debug, 1 info, 2 warning, 3 error. Called by the thread that the message is
   about, one call at a time; NULL, as at the start, tells nobody. `level` is the lowest to be told.
 */
typedef void (*onnxrun_log_sink)(int32_t level, const char* message, void* user);
onnxrun_status onnxrun_set_log(onnxrun_log_sink sink, void* user, int32_t level);

/* Numbers are those of ONNX's TensorProto.DataType. All its types may be used; these have a C type.
 */
/* NOLINTBEGIN(readability-identifier-naming): C's own way */
typedef enum {
  ONNXRUN_FLOAT32 = 1,
  ONNXRUN_UINT8 = 2,
  ONNXRUN_INT8 = 3,
  ONNXRUN_UINT16 = 4,
  ONNXRUN_INT16 = 5,
  ONNXRUN_INT32 = 6,
  ONNXRUN_INT64 = 7,
  ONNXRUN_STRING = 8, /* data are const char*, each ended by a 0; to be given only, not bound */
  ONNXRUN_BOOL = 9,   /* one byte, 0 or 1 */
  ONNXRUN_FLOAT16 = 10,
  ONNXRUN_FLOAT64 = 11,
  ONNXRUN_UINT32 = 12,
  ONNXRUN_UINT64 = 13,
  ONNXRUN_BFLOAT16 = 16
} onnxrun_type;
/* NOLINTEND(readability-identifier-naming) */

/* A dense, row-major tensor. */
typedef struct {
  void* data;
  const int64_t* dims; /* rank of them; may be NULL for rank 0 */
  int32_t rank;
  int32_t type; /* onnxrun_type */
} onnxrun_tensor;

typedef struct {
  const char* name;
  onnxrun_tensor tensor;
} onnxrun_array;

/* ---- Options: names and values as text ---- */

typedef struct onnxrun_options onnxrun_options;
onnxrun_options* onnxrun_options_new(void);
/* Adds the option; given again, lists grow and others are replaced. Names and values are checked by
   those who read them, which is ONNXRUN_USAGE then, with the nearest name. */
onnxrun_status onnxrun_options_set(onnxrun_options* options, const char* name, const char* value);
void onnxrun_options_free(onnxrun_options* options);

/* ---- Models ---- */

typedef struct onnxrun_model onnxrun_model;

/* From a file, with its external data from the same folder; or from memory, which may be freed
 * afterwards. */
onnxrun_status onnxrun_model_load(const char* path, onnxrun_model** model);
onnxrun_status onnxrun_model_load_bytes(const void* bytes, size_t size, onnxrun_model** model);
void onnxrun_model_free(onnxrun_model* model);

size_t onnxrun_model_inputs(const onnxrun_model* model);
size_t onnxrun_model_outputs(const onnxrun_model* model);
size_t onnxrun_model_initializers(const onnxrun_model* model);
/* Names and types ("float[batch,3]") live as long as the model; NULL for an index too large. */
const char* onnxrun_model_input_name(const onnxrun_model* model, size_t index);
const char* onnxrun_model_input_type(const onnxrun_model* model, size_t index);
const char* onnxrun_model_output_name(const onnxrun_model* model, size_t index);
const char* onnxrun_model_output_type(const onnxrun_model* model, size_t index);
/* A weight or constant: name, elements (of the model: only to be read), and whether it trains by
   default. Each out- parameter may be NULL. */
onnxrun_status onnxrun_model_initializer(const onnxrun_model* model, size_t index,
                                         const char** name, onnxrun_tensor* value, int32_t* trains);
/* Writes the model's file again, with `count` of its weights replaced. in_place: over the file it
 * came from. */
onnxrun_status onnxrun_model_save(const onnxrun_model* model, const char* path,
                                  const onnxrun_array* weights, size_t count, int32_t in_place);
/* The model whose outputs NAME::gradient are the gradients of the sum of the values `of` for the
 * values `wrt`. */
onnxrun_status onnxrun_model_gradients(const onnxrun_model* model, const char* const* of,
                                       size_t of_count, const char* const* wrt, size_t wrt_count,
                                       onnxrun_model** gradients);

/* ---- Sessions ---- */

typedef struct onnxrun_session onnxrun_session;

/* Options: threads (1; 0 is what the machine allows), optimize (0 or 1), outputs (repeated: any
   values of the graph; by default the model's outputs), max_memory, max_tensor_bytes,
   max_loop_iterations, timeout (seconds). May be NULL. */
onnxrun_status onnxrun_session_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_session** session);
void onnxrun_session_free(onnxrun_session* session);

/* Memory that every run reads or writes, until other memory is bound. Outputs after all inputs; one
   that is not bound is the session's. */
onnxrun_status onnxrun_session_bind_input(onnxrun_session* session, const char* name,
                                          const onnxrun_tensor* tensor);
onnxrun_status onnxrun_session_bind_output(onnxrun_session* session, const char* name,
                                           const onnxrun_tensor* tensor);
/* With the bound inputs. */
onnxrun_status onnxrun_session_run(onnxrun_session* session);
/* With these inputs, of the model's types. */
onnxrun_status onnxrun_session_run_with(onnxrun_session* session, const onnxrun_array* inputs,
                                        size_t count);
/* A tensor that the last run of either kind gave, valid until the next; strings as const char*. */
onnxrun_status onnxrun_session_output(onnxrun_session* session, const char* name,
                                      onnxrun_tensor* tensor);
/* From any thread. */
void onnxrun_session_cancel(onnxrun_session* session);

/* ---- Arrays with names that the library made ---- */

typedef struct onnxrun_arrays onnxrun_arrays;
size_t onnxrun_arrays_count(const onnxrun_arrays* arrays);
/* Views, as long as the handle lives. */
onnxrun_status onnxrun_arrays_get(const onnxrun_arrays* arrays, size_t index, onnxrun_array* array);
void onnxrun_arrays_free(onnxrun_arrays* arrays);
/* Those of a data file: .npy, .npz, .csv, .idx, .safetensors, pictures ("[NAME=]FILE[:KEY]"). */
onnxrun_status onnxrun_arrays_read(const char* file, onnxrun_arrays** arrays);

/* ---- Training, a step at a time ---- */

typedef struct onnxrun_trainer onnxrun_trainer;

/* Options: loss, output, reduction (mean, sum), class_axis, allow_broadcast, class_weights (numbers
   with commas), ignore_index, label_smoothing, optimizer, lr, momentum, weight_decay, beta1, beta2,
   eps, alpha, clip_value, clip_norm, trainable (repeated: names of initializers), unshare (auto,
   never, always), batch_statistics, dropout, double_precision, seed, threads, optimize, max_memory,
   max_tensor_bytes, max_loop_iterations, timeout (of a step). Truth values are 0 or 1. May be
   NULL. */
onnxrun_status onnxrun_trainer_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_trainer** trainer);
void onnxrun_trainer_free(onnxrun_trainer* trainer);

/* One step: forward, loss, backward, update. `loss`, which may be NULL, is the one before the
   update. `values` are inputs by name and "target"; converted where they have other types. */
onnxrun_status onnxrun_trainer_step(onnxrun_trainer* trainer, const onnxrun_array* values,
                                    size_t count, double* loss);
/* Memory that every step of bound values reads, until other memory is bound; of the model's types.
 */
onnxrun_status onnxrun_trainer_bind(onnxrun_trainer* trainer, const char* name,
                                    const onnxrun_tensor* tensor);
onnxrun_status onnxrun_trainer_step_bound(onnxrun_trainer* trainer, double* loss);
/* The halves of a step of the bound values: what stands in the gradients' buffer in between may be
 * changed. */
onnxrun_status onnxrun_trainer_gradients(onnxrun_trainer* trainer, double* loss);
onnxrun_status onnxrun_trainer_apply(onnxrun_trainer* trainer);
/* Loss of the current weights in the model's inference meaning. */
onnxrun_status onnxrun_trainer_evaluate(onnxrun_trainer* trainer, const onnxrun_array* values,
                                        size_t count, double* loss);
onnxrun_status onnxrun_trainer_set_learning_rate(onnxrun_trainer* trainer, double lr);
double onnxrun_trainer_learning_rate(const onnxrun_trainer* trainer);

/* What trains, as one flat buffer that steps read and write, and which lives as long as the
   trainer: parts are equally named and placed in all of them. `what` is "parameters", "gradients"
   or a slot of the optimizer ("momentum", "m", "v"). */
onnxrun_status onnxrun_trainer_buffer(onnxrun_trainer* trainer, const char* what,
                                      onnxrun_tensor* values);
size_t onnxrun_trainer_parts(onnxrun_trainer* trainer);
/* The part's name, its place in the buffer in elements, and its shape; valid as long as the
 * trainer. */
onnxrun_status onnxrun_trainer_part(onnxrun_trainer* trainer, size_t index, const char** name,
                                    int64_t* offset, const int64_t** dims, int32_t* rank);

/* Copies of all that makes the next step equal, and back. */
onnxrun_status onnxrun_trainer_state(const onnxrun_trainer* trainer, onnxrun_arrays** state);
onnxrun_status onnxrun_trainer_set_state(onnxrun_trainer* trainer, const onnxrun_array* state,
                                         size_t count);
/* The model with the current weights. */
onnxrun_status onnxrun_trainer_save(const onnxrun_trainer* trainer, const char* path,
                                    int32_t in_place);
void onnxrun_trainer_cancel(onnxrun_trainer* trainer);

/* ---- Training from data to a history ---- */

typedef struct onnxrun_fit onnxrun_fit;

/* Options: those of a trainer (a loss that is not named is chosen), and epochs, max_steps,
   batch_size, shuffle, drop_last, accumulate, schedule, warmup, validation_split, test_split, fold,
   folds, metrics (repeated), target, input (repeated: INPUT=ARRAY), batch_axis (repeated:
   NAME=AXIS), standardize (repeated), prebatched; and what callbacks do: early_stop (a metric),
   patience, min_delta, best and monitor (a file, and the metric that says what is best),
   checkpoint_dir, keep, log, tensorboard. Arrays named like inputs feed them; the target is called
   target, y or label unless `target` says otherwise. `validation` may be NULL. The arrays are only
   read, and must live as long as the handle. */
onnxrun_status onnxrun_fit_new(const onnxrun_model* model, const onnxrun_options* options,
                               const onnxrun_array* data, size_t count,
                               const onnxrun_array* validation, size_t validation_count,
                               onnxrun_fit** fit);
void onnxrun_fit_free(onnxrun_fit* fit);

typedef struct {
  int64_t epoch, step;
  double loss, lr, seconds;
} onnxrun_record;

/* Called in the thread of onnxrun_fit_run(); any of them may be NULL. A result other than 0 ends
   the training: 1 as onnxrun_fit_stop() does, another with ONNXRUN_CANCELLED. `size` is
   sizeof(onnxrun_callbacks). */
typedef struct {
  size_t size;
  void* user;
  int32_t (*step_end)(void* user, onnxrun_fit* fit, const onnxrun_record* record);
  int32_t (*epoch_end)(void* user, onnxrun_fit* fit, const onnxrun_record* record);
} onnxrun_callbacks;
/* Before onnxrun_fit_run(); copied. */
onnxrun_status onnxrun_fit_set_callbacks(onnxrun_fit* fit, const onnxrun_callbacks* callbacks);

onnxrun_status onnxrun_fit_run(onnxrun_fit* fit);
/* From a callback: the epoch ends as usual, and is the last. */
void onnxrun_fit_stop(onnxrun_fit* fit);
/* From any thread. */
void onnxrun_fit_cancel(onnxrun_fit* fit);
/* Goes on where the newest checkpoint of the folder was; `found`, which may be NULL, is 0 if there
 * is none. */
onnxrun_status onnxrun_fit_resume(onnxrun_fit* fit, const char* checkpoint_dir, int32_t* found);

size_t onnxrun_fit_epochs(const onnxrun_fit* fit); /* in the history */
onnxrun_status onnxrun_fit_epoch(const onnxrun_fit* fit, size_t index, onnxrun_record* record);
/* "loss", "val_loss", "accuracy", "val_accuracy", ...; ONNXRUN_USAGE if it was not measured. */
onnxrun_status onnxrun_fit_metric(const onnxrun_fit* fit, size_t index, const char* name,
                                  double* value);
/* The trainer of this training, which lives as long as it does and is not freed. */
onnxrun_trainer* onnxrun_fit_trainer(onnxrun_fit* fit);
onnxrun_status onnxrun_fit_state(const onnxrun_fit* fit, onnxrun_arrays** state);
onnxrun_status onnxrun_fit_set_state(onnxrun_fit* fit, const onnxrun_array* state, size_t count);

#ifdef __cplusplus
}
#endif

#endif
