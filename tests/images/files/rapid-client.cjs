// In place of the compiled half of aws-lambda-ric: asks for events and posts outcomes, one request after the other.
const http = require("node:http");

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let last = Promise.resolve();

function exchange(method, path, body, headers) {
  const begin = (resolve, reject) => {
    const request = http.request({ host, port, agent, method, headers, path: `/2018-06-01/runtime/${path}` }, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("end", () => resolve({ bodyJson: Buffer.concat(pieces).toString(), headers: response.headers }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  };
  last = last.then(() => new Promise(begin));
  return last;
}

const json = { "content-type": "application/json" };
// Header values must be printable.
const printable = (text) => text.replace(/[^\x20-\x7e]/g, "?").slice(0, 8192);

exports.next = () => exchange("GET", "invocation/next");
exports.done = (id, body) => void exchange("POST", `invocation/${id}/response`, body, json);
exports.error = (id, body, cause) =>
  void exchange("POST", `invocation/${id}/error`, body, {
    ...json,
    "lambda-runtime-function-error-type": printable(JSON.parse(body).errorType ?? "Unhandled"),
    "lambda-runtime-function-xray-error-cause": printable(cause ?? ""),
  });
