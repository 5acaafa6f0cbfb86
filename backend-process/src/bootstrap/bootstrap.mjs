// Runs a Node.js function: fetches events from the Lambda Runtime API and hands them to the handler.
// All that it needs is in the environment, as on AWS.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const API = '/2018-06-01/runtime';
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const require = createRequire(import.meta.url);
const env = process.env;

// ---- errors, under the names that AWS gives them

const named = (name) => {
  const kind = class extends Error {};
  kind.prototype.name = `Runtime.${name}`;
  return kind;
};
const ImportModuleError = named('ImportModuleError');
const HandlerNotFound = named('HandlerNotFound');
const MalformedHandlerName = named('MalformedHandlerName');
const UserCodeSyntaxError = named('UserCodeSyntaxError');
const MalformedStreamingHandler = named('MalformedStreamingHandler');
const InvalidStreamingOperation = named('InvalidStreamingOperation');
const NodeJsExit = named('NodeJsExit');
const UnhandledPromiseRejection = named('UnhandledPromiseRejection');

const isError = (value) => util.types.isNativeError(value) || value instanceof Error;

/** The body that an error is reported with. */
function describe(error) {
  try {
    if (isError(error)) {
      return { errorType: error.name, errorMessage: error.message, trace: String(error.stack).split('\n') };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: 'an error was reported that cannot be read', trace: [] };
  }
}

/** An error with the members that JSON.stringify would leave out. */
function withHiddenMembers(_key, value) {
  if (!(value instanceof Error)) return value;
  const shown = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
  return shown;
}

// ---- the log

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const logsJson = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON';
let currentRequestId;

function jsonLine(level, parts) {
  const line = { timestamp: new Date().toISOString(), level, requestId: currentRequestId };
  const error = parts.find(isError);
  const readable = (_key, value) =>
    value instanceof Error
      ? {
          errorType: value.constructor?.name ?? 'UnknownError',
          errorMessage: value.message,
          stackTrace: String(value.stack).split('\n'),
          ...value,
        }
      : value;
  if (parts.length === 1) {
    try {
      return JSON.stringify({ ...line, message: parts[0] }, readable);
    } catch {
      return JSON.stringify({ ...line, message: util.format(parts[0]) });
    }
  }
  line.message = util.format(...parts);
  return JSON.stringify(error ? { ...line, ...readable('', error), message: line.message } : line);
}

function write(level, parts) {
  const line = logsJson
    ? jsonLine(level, parts)
    : `${new Date().toISOString()}\t${currentRequestId}\t${level}\t${util.format(...parts)}`;
  process.stdout.write(line + '\n');
}

function patchConsole() {
  const least = Math.max(LEVELS.indexOf(env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()), 0);
  for (const [rank, level] of LEVELS.entries()) {
    console[level.toLowerCase()] = rank >= least ? (...parts) => write(level, parts) : () => {};
  }
  console.log = console.info;
}

function logError(title, error) {
  const whole = isError(error) ? error : new Error(error);
  if (logsJson) {
    console.error(whole);
  } else {
    console.error(title, '\t' + JSON.stringify(whole, withHiddenMembers));
  }
}

// ---- the Runtime API, spoken by hand: it is one connection and four calls

class RuntimeApi {
  #socket;
  #received = Buffer.alloc(0);
  #waiting;

  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.host = address;
    this.#socket = net.connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true });
    this.#socket.unref();
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    // Whoever was there is gone, and with it the reason to be.
    this.#socket.on('error', () => process.exit(1));
    this.#socket.on('close', () => process.exit(1));
  }

  next() {
    return this.#call(`GET ${API}/invocation/next HTTP/1.1\r\nHost: ${this.host}\r\n\r\n`);
  }

  respond(id, body) {
    return this.post(`/invocation/${encodeURIComponent(id)}/response`, body);
  }

  fail(id, error) {
    const report = describe(error);
    return this.post(`/invocation/${encodeURIComponent(id)}/error`, JSON.stringify(report), report.errorType);
  }

  failInit(error) {
    const report = describe(error);
    return this.post('/init/error', JSON.stringify(report), report.errorType);
  }

  post(target, body, errorType) {
    const kind = errorType ? `Lambda-Runtime-Function-Error-Type: ${errorType.replace(/[^\x20-\x7e]/g, '?')}\r\n` : '';
    return this.#call(
      `POST ${API}${target} HTTP/1.1\r\nHost: ${this.host}\r\nContent-Type: application/json\r\n${kind}` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  /** Begins a response whose length is not known. Ends with `end`. */
  begin(id, contentType) {
    this.#socket.write(
      `POST ${API}/invocation/${encodeURIComponent(id)}/response HTTP/1.1\r\nHost: ${this.host}\r\n` +
        `Content-Type: ${contentType}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n` +
        'Transfer-Encoding: chunked\r\n' +
        'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n',
    );
  }

  chunk(bytes, written) {
    this.#socket.write(`${bytes.length.toString(16)}\r\n`);
    this.#socket.write(bytes);
    return this.#socket.write('\r\n', written);
  }

  end(error) {
    let trailers = '';
    if (error !== undefined) {
      const report = describe(error);
      const body = Buffer.from(JSON.stringify(report)).toString('base64');
      trailers =
        `Lambda-Runtime-Function-Error-Type: ${report.errorType.replace(/[^\x20-\x7e]/g, '?')}\r\n` +
        `Lambda-Runtime-Function-Error-Body: ${body}\r\n`;
    }
    return this.#call(`0\r\n${trailers}\r\n`);
  }

  #call(request) {
    // Only while an answer is awaited does the connection keep the process alive: in between, the handler's
    // own timers and connections decide whether there is anything left to do.
    this.#socket.ref();
    this.#socket.write(request);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #receive(chunk) {
    this.#received = this.#received.length ? Buffer.concat([this.#received, chunk]) : chunk;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const headers = {};
    for (const line of this.#received.toString('latin1', 0, end).split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const size = end + 4 + Number(headers['content-length'] ?? 0);
    if (this.#received.length < size) return;
    const body = this.#received.toString('utf8', end + 4, size);
    this.#received = this.#received.subarray(size);
    this.#socket.unref();
    this.#waiting({ headers, body });
  }
}

// ---- the handler

function splitHandler(name) {
  if (name.includes('..')) {
    throw new MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot < 0) throw new MalformedHandlerName('Bad handler');
  return { folder: name.slice(0, name.length - base.length), module: base.slice(0, dot), members: base.slice(dot + 1) };
}

/** Whether a .js file in this folder is an ES module: the nearest package.json says so. */
function isModuleFolder(folder) {
  if (folder.endsWith('/node_modules')) return false;
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
  } catch (error) {
    if (error.code !== 'ENOENT' || folder === '/') return false;
    return isModuleFolder(path.dirname(folder));
  }
}

async function importModule(root, folder, module) {
  const file = path.resolve(root, folder, module);
  const asModule = isModuleFolder(path.dirname(file));
  const candidates = [
    ['', 'require'],
    ['.js', asModule ? 'import' : 'require'],
    ['.mjs', 'import'],
    ['.cjs', 'require'],
  ];
  for (const [extension, way] of candidates) {
    const found = file + extension;
    if (fs.existsSync(found) && fs.statSync(found).isFile()) {
      return way === 'import' ? import(pathToFileURL(found).href) : require(found);
    }
  }
  return require(require.resolve(module, { paths: [root, path.resolve(root, folder)] }));
}

async function loadHandler(root, name) {
  const { folder, module, members } = splitHandler(name);
  let loaded;
  try {
    loaded = await importModule(root, folder, module);
  } catch (error) {
    if (error instanceof SyntaxError) throw new UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') throw new ImportModuleError(error);
    throw error;
  }
  const handler = members.split('.').reduce((value, member) => value && value[member], loaded);
  if (!handler) throw new HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new HandlerNotFound(`${name} is not a function`);
  return handler;
}

function installGlobals() {
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = options.highWaterMark;
      return handler;
    },
    HttpResponseStream: class {
      static from(stream, prelude) {
        stream.setContentType('application/vnd.awslambda.http-integration-response');
        stream._onBeforeFirstWrite = (send) => {
          send(JSON.stringify(prelude));
          send(new Uint8Array(8));
        };
        return stream;
      }
    },
  };
}

// ---- one invocation

const headerJson = (headers, name, title) => {
  const text = headers[name];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(text, 'latin1').toString('utf8'));
  } catch (error) {
    throw new Error(`Cannot parse ${title} as json: ${error}`);
  }
};

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: headerJson(headers, 'lambda-runtime-client-context', 'ClientContext'),
    identity: headerJson(headers, 'lambda-runtime-cognito-identity', 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

const isPromise = (value) => typeof value?.then === 'function';
let onEmptyLoop = () => {};

function serialize(value) {
  try {
    return JSON.stringify(value === undefined ? null : value) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
}

/** Runs the handler and settles when it has answered, in whichever of its ways. */
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let waitsForEmptyLoop = true;
    const ended = (error, value) => (error === undefined || error === null ? resolve(value) : reject(error));
    const control = {
      get callbackWaitsForEmptyEventLoop() {
        return waitsForEmptyLoop;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waitsForEmptyLoop = value;
      },
      done: ended,
      succeed: (value) => resolve(value),
      fail: (error) => reject(error ?? 'handled'),
    };
    const callback = (error, value) => {
      if (error === undefined || error === null) {
        if (!waitsForEmptyLoop) return resolve(value);
        onEmptyLoop = () => resolve(value);
      } else {
        reject(error);
      }
    };
    // Nothing is left that could still call back.
    onEmptyLoop = () =>
      handler.constructor?.name === 'AsyncFunction'
        ? reject(new NodeJsExit('the handler never answers: nothing is left that it could wait for'))
        : resolve(null);
    const result = handler(event, Object.assign(control, contextOf(headers)), callback);
    if (isPromise(result)) result.then(resolve, reject);
  });
}

async function answer(api, handler, { headers, body }) {
  const id = headers['lambda-runtime-aws-request-id'];
  try {
    const value = serialize(await run(handler, JSON.parse(body), headers));
    onEmptyLoop = () => {};
    await api.respond(id, value);
  } catch (error) {
    onEmptyLoop = () => {};
    logError('Invoke Error', error);
    await api.fail(id, error);
  }
}

// ---- one invocation, answered as a stream

async function answerStreaming(api, handler, { headers, body }) {
  const { Writable } = await import('node:stream');
  const id = headers['lambda-runtime-aws-request-id'];
  let contentType = 'application/octet-stream';
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    api.begin(id, contentType);
    stream._onBeforeFirstWrite?.((bytes) => api.chunk(Buffer.from(bytes)));
  };
  const stream = new Writable({
    highWaterMark: handler[HIGH_WATER_MARK],
    write(chunk, encoding, written) {
      begin();
      if (chunk.length === 0) return written();
      api.chunk(chunk, () => written());
    },
  });
  const write = stream.write.bind(stream);
  stream.write = (chunk, ...rest) => {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return write(plain ? chunk : JSON.stringify(chunk), ...rest);
  };
  stream.setContentType = (value) => {
    if (begun) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    contentType = value;
  };
  const finished = new Promise((resolve, reject) => stream.once('finish', resolve).once('error', reject));
  finished.catch(() => {});
  try {
    const result = handler(JSON.parse(body), stream, Object.assign({ callbackWaitsForEmptyEventLoop: true }, contextOf(headers)));
    if (!isPromise(result)) throw new MalformedStreamingHandler('Streaming does not support non-async handlers.');
    onEmptyLoop = () => stream.destroy(new NodeJsExit('the response stream was never ended'));
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded) throw new InvalidStreamingOperation('Response stream is not finished.');
    await finished;
    begin();
    onEmptyLoop = () => {};
    await api.end();
  } catch (error) {
    onEmptyLoop = () => {};
    logError('Invoke Error', error);
    if (begun) {
      await api.end(error);
    } else {
      await api.fail(id, error);
    }
  }
}

// ---- the life of the process

async function serve(api, handler) {
  const respond = handler[STREAMING] === 'response' ? answerStreaming : answer;
  for (;;) {
    const invocation = await api.next();
    currentRequestId = invocation.headers['lambda-runtime-aws-request-id'];
    const traceId = invocation.headers['lambda-runtime-trace-id'];
    if (traceId === undefined) delete env._X_AMZN_TRACE_ID;
    else env._X_AMZN_TRACE_ID = traceId;
    await respond(api, handler, invocation);
  }
}

async function main() {
  patchConsole();
  installGlobals();
  const api = new RuntimeApi(env.AWS_LAMBDA_RUNTIME_API);
  // Errors that nobody catches end the process, after they were reported.
  const fatal = (title, wrap, status) => async (error) => {
    const reported = wrap(error);
    logError(title, reported);
    // The other connection may be waiting for the next event, and would take nothing else before.
    const own = new RuntimeApi(env.AWS_LAMBDA_RUNTIME_API);
    await (currentRequestId === undefined ? own.failInit(reported) : own.fail(currentRequestId, reported));
    process.exit(status);
  };
  const rejection = (reason) => {
    const error = new UnhandledPromiseRejection(reason);
    error.reason = reason;
    return error;
  };
  process.on('uncaughtException', fatal('Uncaught Exception', (error) => error, 129));
  process.on('unhandledRejection', fatal('Unhandled Promise Rejection', rejection, 128));
  process.on('beforeExit', () => onEmptyLoop());
  let handler;
  try {
    handler = await loadHandler(env.LAMBDA_TASK_ROOT, env._HANDLER);
  } catch (error) {
    logError('Uncaught Exception', error);
    await api.failInit(error);
    process.exit(129);
  }
  await serve(api, handler);
}

main();
