#include "plan/plan.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/work.h"
#include "graph/infer_context.h"
#include "passes/dead_nodes.h"
#include "passes/fold.h"
#include "passes/fuse/elementwise.h"
#include "passes/remove_noops.h"
#include "plan/step_order.h"

namespace onnxrun {

std::string signature(std::span<const Type> types) {
  std::string text;
  for (const Type& t : types) text += t.to_string() + ";";
  return text;
}

std::shared_ptr<const Plan> PlanCache::get(const Graph& graph, std::span<const Type> inputs,
                                           const PlanOptions& options) {
  std::lock_guard lock(mutex_);
  std::string key = signature(inputs);
  auto it = plans_.find(key);
  if (it != plans_.end()) return it->second;
  // A loop's body whose shapes grow from iteration to iteration would keep a plan for each of them.
  if (plans_.size() == max_kept) plans_.clear();
  PlanOptions shared = options;
  if (!shared.packed) shared.packed = packed_;
  return plans_[key] = Plan::compile(graph, inputs, shared);
}

// Compiles in stages; each reads what the ones before left in the plan.
class PlanCompiler {
 public:
  PlanCompiler(const Graph& graph, std::span<const Type> inputs, const PlanOptions& options)
      : plan_(new Plan(graph)), graph_(plan_->graph_) {
    plan_->options_ = options;
    specialize(inputs);
  }

  std::shared_ptr<const Plan> run() {
    if (plan_->options_.optimize) {
      FoldOptions fold = {.fold_parameters = true};
      fold.max_total = std::min(fold.max_total, plan_->options_.max_memory);
      fold_constants(graph_, fold);
      remove_noops(graph_);
      remove_dead_nodes(graph_);
    }
    add_steps();
    assign_buffers();
    alias_state();
    merge_in_place();
    bind_outputs();
    find_lifetimes();
    plan_->arena_bytes_ = place_buffers(plan_->buffers_);
    check_memory();
    make_prototypes();
    prepare_steps();
    return std::shared_ptr<const Plan>(std::move(plan_));
  }

 private:
  void specialize(std::span<const Type> inputs);
  void add_steps();
  bool is_static(const Node& node) const;
  void assign_buffers();
  void alias_state();
  void merge_in_place();
  void bind_outputs();
  void find_lifetimes();
  void check_memory() const;
  void make_prototypes();
  void prepare_steps();

  int& buffer_of(ValueId v) { return plan_->buffer_of_[static_cast<size_t>(v)]; }
  Buffer& buffer(ValueId v) { return plan_->buffers_[static_cast<size_t>(buffer_of(v))]; }
  int new_buffer(ValueId v, Buffer::Kind kind, int index = -1);
  void move_value(ValueId v, int to);
  const Node& node(size_t step) const {
    return graph_.nodes[static_cast<size_t>(plan_->steps_[step].node)];
  }
  std::vector<int> last_reads() const;

  std::unique_ptr<Plan> plan_;
  Graph& graph_;
};

// Gives the inputs their types and infers everything anew from them.
void PlanCompiler::specialize(std::span<const Type> inputs) {
  // With all lengths known, every initializer is as good as a constant, and its type is what it
  // holds: one that a caller might have fed is declared more loosely.
  for (auto& [id, init] : graph_.initializers) {
    init.role = Role::Constant;
    graph_.value(id).type = Type::tensor(init.value.dtype(), to_shape(init.value.dims()));
  }
  graph_.overridable.clear();
  for (size_t i = 0; i < inputs.size(); ++i) graph_.value(graph_.inputs[i]).type = inputs[i];
  try {
    infer(graph_);
    split_uneven_programs(graph_);
  } catch (const Error& e) {
    // The graph was right for the lengths it declares, so what does not fit now is what was fed.
    if (e.kind() == ErrorKind::BadModel) throw e.as(ErrorKind::BadInput);
    throw;
  }
}

void PlanCompiler::add_steps() {
  StepOrder order = order_steps(graph_, plan_->options_.optimize);
  plan_->guards_ = std::move(order.guards);
  for (const std::vector<size_t>* nodes : {&order.head, &order.commit}) {
    plan_->commit_at_ = static_cast<int>(plan_->steps_.size());
    for (size_t n : *nodes) {
      Step step;
      step.node = static_cast<int>(n);
      step.is_checked_ahead = order.is_checked_ahead[n];
      for (size_t k = 0; k < graph_.nodes[n].bodies.size(); ++k) {
        step.bodies.push_back(std::make_unique<PlanCache>());
      }
      plan_->steps_.push_back(std::move(step));
    }
  }
}

int PlanCompiler::new_buffer(ValueId v, Buffer::Kind kind, int index) {
  Buffer b;
  b.kind = kind;
  b.index = index;
  const Type& t = graph_.value(v).type;
  if (t.is_concrete()) b.bytes = bytes_of(t.dtype, element_count(to_dims(*t.shape)));
  b.values = {v};
  plan_->buffers_.push_back(std::move(b));
  return buffer_of(v) = static_cast<int>(plan_->buffers_.size() - 1);
}

bool PlanCompiler::is_static(const Node& n) const {
  auto concrete = [&](ValueId v) {
    if (v == no_value) return true;
    const Type& t = graph_.value(v).type;
    return t.is_concrete() && t.dtype != DType::String;
  };
  if (!n.bodies.empty()) return false;
  for (ValueId v : n.inputs) {
    if (v != no_value && !graph_.value(v).type.is_concrete()) return false;
    int b = v == no_value ? -1 : plan_->buffer_of(v);
    if (b >= 0 && plan_->buffers_[static_cast<size_t>(b)].kind == Buffer::Kind::Dynamic)
      return false;
  }
  return std::all_of(n.outputs.begin(), n.outputs.end(), concrete);
}

void PlanCompiler::assign_buffers() {
  plan_->buffer_of_.assign(graph_.value_count(), -1);
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    new_buffer(graph_.inputs[i], Buffer::Kind::Input, static_cast<int>(i));
  }
  for (size_t i = 0; i < graph_.state.size(); ++i) {
    buffer(graph_.state[i].in).kind = Buffer::Kind::State;
    buffer(graph_.state[i].in).index = static_cast<int>(i);
  }
  for (const auto& [id, init] : graph_.initializers) new_buffer(id, Buffer::Kind::Constant);
  std::vector<Step> steps;
  int head_steps = 0;
  for (size_t s = 0; s < plan_->steps_.size(); ++s) {
    Step& step = plan_->steps_[s];
    const Node& n = node(s);
    step.dynamic = !is_static(n);
    plan_->has_dynamic_ |= step.dynamic;
    if (!step.dynamic && n.op->traits().view && n.inputs[0] != no_value) {
      // A view costs nothing: its value moves into the viewed buffer and the step goes.
      buffer_of(n.outputs[0]) = buffer_of(n.inputs[0]);
      buffer(n.inputs[0]).values.push_back(n.outputs[0]);
      continue;
    }
    for (ValueId v : n.outputs) {
      if (v != no_value) new_buffer(v, step.dynamic ? Buffer::Kind::Dynamic : Buffer::Kind::Arena);
    }
    if (static_cast<int>(s) < plan_->commit_at_) ++head_steps;
    steps.push_back(std::move(step));
  }
  plan_->steps_ = std::move(steps);
  plan_->commit_at_ = head_steps;
}

// For each buffer the last step that reads it, INT32_MAX if an output or another state needs it
// after all.
std::vector<int> PlanCompiler::last_reads() const {
  std::vector<int> last(plan_->buffers_.size(), -1);
  auto read = [&](ValueId v, int step) {
    if (v == no_value || plan_->buffer_of(v) < 0) return;
    int& at = last[static_cast<size_t>(plan_->buffer_of(v))];
    at = std::max(at, step);
  };
  for (size_t s = 0; s < plan_->steps_.size(); ++s) {
    for (ValueId v : node(s).inputs) read(v, static_cast<int>(s));
  }
  for (ValueId v : plan_->guards_) read(v, plan_->commit_at_);
  for (ValueId v : graph_.outputs) read(v, INT32_MAX);
  for (const StateBinding& b : graph_.state) read(b.out, INT32_MAX);
  return last;
}

void PlanCompiler::move_value(ValueId v, int to) {
  int from = buffer_of(v);
  for (ValueId moved : plan_->buffers_[static_cast<size_t>(from)].values) {
    buffer_of(moved) = to;
    plan_->buffers_[static_cast<size_t>(to)].values.push_back(moved);
  }
  plan_->buffers_[static_cast<size_t>(from)].values.clear();
  plan_->buffers_[static_cast<size_t>(from)].kind = Buffer::Kind::Constant;
}

static bool may_overwrite(const Graph& graph, const Node& n, size_t input, size_t output) {
  const auto pairs = n.op->traits().in_place;
  bool allowed = std::any_of(pairs.begin(), pairs.end(), [&](const std::pair<int, int>& p) {
    return static_cast<size_t>(p.first) == input && static_cast<size_t>(p.second) == output;
  });
  if (!allowed) return false;
  const Type &a = graph.value(n.inputs[input]).type, &b = graph.value(n.outputs[output]).type;
  return a.dtype == b.dtype && to_dims(*a.shape) == to_dims(*b.shape);
}

// A new state is written over the old one where nobody reads the old one later; else it is copied
// at the end of the run.
void PlanCompiler::alias_state() {
  std::map<ValueId, size_t> producer;
  for (size_t s = 0; s < plan_->steps_.size(); ++s) {
    for (ValueId v : node(s).outputs) producer[v] = s;
  }
  std::vector<int> last = last_reads();
  for (size_t i = 0; i < graph_.state.size(); ++i) {
    auto [in, out] = graph_.state[i];
    int own = buffer_of(in);
    if (buffer_of(out) == own) continue;
    if (graph_.value(in).type.to_string() != graph_.value(out).type.to_string()) {
      fail(ErrorKind::Internal, "state '{}' is {}, but its update is {}", graph_.name_of(in),
           graph_.value(in).type.to_string(), graph_.value(out).type.to_string());
    }
    auto it = producer.find(out);
    bool alias = it != producer.end() && buffer(out).kind == Buffer::Kind::Arena &&
                 static_cast<int>(it->second) >= plan_->commit_at_ &&
                 last[static_cast<size_t>(own)] <= static_cast<int>(it->second);
    if (alias) {
      const Node& n = node(it->second);
      size_t at = static_cast<size_t>(std::find(n.outputs.begin(), n.outputs.end(), out) -
                                      n.outputs.begin());
      for (size_t k = 0; k < n.inputs.size(); ++k) {
        if (n.inputs[k] != no_value && buffer_of(n.inputs[k]) == own) {
          alias &= may_overwrite(graph_, n, k, at);
        }
      }
    }
    if (alias) {
      move_value(out, own);
    } else {
      plan_->copies_.push_back({.from = out, .output = -1, .state = static_cast<int>(i)});
    }
  }
}

void PlanCompiler::merge_in_place() {
  if (!plan_->options_.optimize) return;
  std::vector<int> last = last_reads();
  for (size_t s = 0; s < plan_->steps_.size(); ++s) {
    if (plan_->steps_[s].dynamic) continue;
    const Node& n = node(s);
    for (auto [input, output] : n.op->traits().in_place) {
      auto i = static_cast<size_t>(input), o = static_cast<size_t>(output);
      if (i >= n.inputs.size() || o >= n.outputs.size()) continue;
      ValueId in = n.inputs[i], out = n.outputs[o];
      if (in == no_value || out == no_value) continue;
      int from = buffer_of(in), to = buffer_of(out);
      if (from == to || buffer(in).kind != Buffer::Kind::Arena ||
          buffer(out).kind != Buffer::Kind::Arena ||
          last[static_cast<size_t>(from)] != static_cast<int>(s) ||
          !may_overwrite(graph_, n, i, o)) {
        continue;
      }
      bool read_twice = false;
      for (size_t k = 0; k < n.inputs.size(); ++k) {
        read_twice |= k != i && n.inputs[k] != no_value && buffer_of(n.inputs[k]) == from &&
                      !may_overwrite(graph_, n, k, o);
      }
      if (read_twice) continue;
      move_value(out, from);
      last[static_cast<size_t>(from)] = last[static_cast<size_t>(to)];
      break;
    }
  }
}

void PlanCompiler::bind_outputs() {
  for (size_t k = 0; k < graph_.outputs.size(); ++k) {
    ValueId v = graph_.outputs[k];
    Buffer& b = buffer(v);
    if (b.kind == Buffer::Kind::Arena) {
      b.kind = Buffer::Kind::Output;
      b.index = static_cast<int>(k);
    } else {
      plan_->copies_.push_back({.from = v, .output = static_cast<int>(k), .state = -1});
    }
  }
}

void PlanCompiler::find_lifetimes() {
  int end = static_cast<int>(plan_->steps_.size());
  for (Buffer& b : plan_->buffers_) b.first = end, b.last = -1;
  auto touch = [&](ValueId v, int step) {
    if (v == no_value || buffer_of(v) < 0) return;
    Buffer& b = buffer(v);
    b.first = std::min(b.first, step);
    b.last = std::max(b.last, step);
  };
  for (int s = 0; s < end; ++s) {
    for (ValueId v : node(static_cast<size_t>(s)).inputs) touch(v, s);
    for (ValueId v : node(static_cast<size_t>(s)).outputs) touch(v, s);
  }
  for (ValueId v : plan_->guards_) touch(v, plan_->commit_at_);
  for (const Plan::Copy& c : plan_->copies_) touch(c.from, end);
  for (const Buffer& b : plan_->buffers_) {
    if (b.kind != Buffer::Kind::Dynamic || b.last < 0 || b.last >= end) continue;
    auto& release = plan_->steps_[static_cast<size_t>(b.last)].release;
    release.insert(release.end(), b.values.begin(), b.values.end());
  }
}

// Before anything is made that grows with the buffers.
void PlanCompiler::check_memory() const {
  int64_t bytes = plan_->arena_bytes_;
  bool overflow = false;
  for (const Buffer& b : plan_->buffers_) {
    if (b.kind != Buffer::Kind::Dynamic) check_tensor_size(b.bytes);
    if (b.kind == Buffer::Kind::Output) overflow |= __builtin_add_overflow(bytes, b.bytes, &bytes);
  }
  if (overflow || bytes > plan_->options_.max_memory) {
    fail(ErrorKind::Limit, "the run needs {} bytes of memory, allowed are {}",
         overflow ? INT64_MAX : bytes, plan_->options_.max_memory);
  }
}

void PlanCompiler::make_prototypes() {
  plan_->prototypes_.resize(graph_.value_count());
  for (size_t v = 0; v < graph_.value_count(); ++v) {
    int b = plan_->buffer_of_[v];
    if (b < 0) continue;
    const Buffer& buf = plan_->buffers_[static_cast<size_t>(b)];
    const Type& t = graph_.value(static_cast<ValueId>(v)).type;
    if (buf.kind != Buffer::Kind::Dynamic && t.is_concrete()) {
      plan_->prototypes_[v] = Tensor::wrap(nullptr, t.dtype, to_dims(*t.shape));
    }
  }
  for (const auto& [id, init] : graph_.initializers) {
    for (ValueId v : buffer(id).values) {
      plan_->prototypes_[static_cast<size_t>(v)] =
          init.value.view(to_dims(*graph_.value(v).type.shape));
    }
  }
}

void PlanCompiler::prepare_steps() {
  for (Step& step : plan_->steps_) {
    if (step.dynamic) continue;
    const Node& n = graph_.nodes[static_cast<size_t>(step.node)];
    std::vector<const RuntimeValue*> inputs;
    std::vector<RuntimeValue*> outputs;
    std::vector<char> constant(n.inputs.size(), 0);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      ValueId v = n.inputs[i];
      inputs.push_back(v == no_value ? nullptr : &plan_->prototypes_[static_cast<size_t>(v)]);
      constant[i] = v != no_value && buffer(v).kind == Buffer::Kind::Constant;
    }
    for (ValueId v : n.outputs) {
      outputs.push_back(v == no_value ? nullptr : &plan_->prototypes_[static_cast<size_t>(v)]);
    }
    step.idle = writes_nothing(outputs);
    if (step.idle) continue;
    PrepareContext context(inputs, outputs, constant, plan_->options_.products,
                           plan_->options_.packed);
    try {
      step.state = n.op->prepare(context);
    } catch (const Error& e) {
      throw e.in(frame_of(graph_, n));
    }
    step.scratch = context.scratch();
    plan_->scratch_bytes_ = std::max(plan_->scratch_bytes_, context.scratch());
  }
}

std::shared_ptr<const Plan> Plan::compile(const Graph& graph, std::span<const Type> inputs,
                                          const PlanOptions& options) {
  return PlanCompiler(graph, inputs, options).run();
}

static std::string place_text(const Plan& plan, ValueId v) {
  static constexpr std::string_view names[] = {"constant", "input", "state",
                                               "output",   "arena", "dynamic"};
  if (v == no_value || plan.buffer_of(v) < 0) return "-";
  const Buffer& b = plan.buffers()[static_cast<size_t>(plan.buffer_of(v))];
  std::string text(names[static_cast<size_t>(b.kind)]);
  if (b.kind == Buffer::Kind::Arena) return text + "+" + std::to_string(b.offset);
  return b.index >= 0 ? text + " " + std::to_string(b.index) : text;
}

std::string Plan::to_string() const {
  std::string text = fmt::format("arena {} bytes, scratch {} bytes, {} steps\n", arena_bytes_,
                                 scratch_bytes_, steps_.size());
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (static_cast<int>(s) == commit_at_ && !graph_.state.empty())
      text += "-- check guards, then commit\n";
    const Node& n = node_of(*this, steps_[s]);
    std::string in, out;
    for (ValueId v : n.inputs) in += (in.empty() ? "" : ", ") + place_text(*this, v);
    for (ValueId v : n.outputs) {
      if (v == no_value) continue;
      out += fmt::format("{}%{}: {} [{}]", out.empty() ? "" : ", ", graph_.name_of(v),
                         graph_.value(v).type.to_string(), place_text(*this, v));
    }
    std::string_view kernel = steps_[s].state ? steps_[s].state->kernel() : "";
    text += fmt::format("{:4} {}{} = {}({}){}{}\n", s, steps_[s].dynamic ? "dynamic " : "", out,
                        n.info->qualified_name(), in, kernel.empty() ? "" : "  by ", kernel);
  }
  for (const Copy& c : copies_) {
    text += fmt::format("copy %{} to {} {}\n", graph_.name_of(c.from),
                        c.state >= 0 ? "state" : "output", c.state >= 0 ? c.state : c.output);
  }
  return text;
}

}  // namespace onnxrun
