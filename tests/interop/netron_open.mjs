// Opens files in Netron as its window does, without one: node netron_open.mjs NETRON_FOLDER FILE...
// Prints "FILE: N nodes, M tensors" for each; what Netron says against a file goes to standard error,
// and the exit code is 1.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import url from "node:url";

const [folder, ...files] = process.argv.slice(2);
const load = (name) => import(url.pathToFileURL(path.join(folder, name)));
const view = await load("view.js");
const { Tensor } = await load("base.js");
const { FileStream } = await load("node.js");

function open(file) {
  const { size, mtimeMs } = fs.statSync(file);
  return new FileStream(file, 0, size, mtimeMs);
}

// What Netron asks its window for.
class Host {
  environment() {}
  event() {}
  exception(error) {
    throw error;
  }
  require(id) {
    return load(`${id}.js`);
  }
}

class Context {
  constructor(host, file) {
    this.host = host;
    this.folder = path.dirname(file);
    this.identifier = path.basename(file);
    this.stream = open(file);
    this.entries = new Map();
  }
  async asset(file) {
    return fs.readFileSync(path.join(folder, file), "utf-8");
  }
  async fetch(file) {
    return open(path.join(this.folder, file));
  }
  async request(file, encoding) {
    const full = path.join(this.folder, file);
    return encoding ? fs.readFileSync(full, encoding) : open(full);
  }
  require(id) {
    return this.host.require(id);
  }
  error(error) {
    throw error;
  }
}

// A value that Netron draws: its name, its type as text and, if it is stored, its elements.
async function look(value, counts) {
  if (typeof value.name !== "string") throw new Error("a value has no name");
  if (value.type) String(value.type);
  if (!value.initializer) return;
  const stored = value.initializer;
  if (stored.peek && !stored.peek()) await stored.read();
  const tensor = new Tensor(stored);
  if (String(tensor.type).includes("undefined")) throw new Error(`${value.name} is ${tensor.type}`);
  if (!tensor.empty) void tensor.value;
  counts.tensors += 1;
}

async function lookAtNode(node, counts) {
  counts.nodes += 1;
  // An operator that Netron's tables lack has a name and nothing else.
  if (!node.type || !node.type.name) throw new Error(`node '${node.name}' has no operator`);
  for (const list of [node.inputs, node.outputs]) {
    for (const argument of list) {
      for (const value of argument.value || []) if (value) await look(value, counts);
    }
  }
  for (const attribute of node.attributes || []) {
    if (attribute.type === "graph") await lookAtGraph(attribute.value, counts);
  }
}

async function lookAtGraph(graph, counts) {
  for (const argument of [...graph.inputs, ...graph.outputs]) {
    for (const value of argument.value || []) await look(value, counts);
  }
  for (const node of graph.nodes) await lookAtNode(node, counts);
}

const service = new view.ModelFactoryService(new Host());
let failed = false;
for (const file of files) {
  try {
    const model = await service.open(new Context(new Host(), file));
    if (!model.format.startsWith("ONNX")) throw new Error(`taken for ${model.format}`);
    const counts = { nodes: 0, tensors: 0 };
    for (const graph of model.modules) await lookAtGraph(graph, counts);
    console.log(`${file}: ${counts.nodes} nodes, ${counts.tensors} tensors`);
  } catch (error) {
    failed = true;
    console.error(`${file}: ${error.stack}`);
  }
}
process.exit(failed ? 1 : 0);
