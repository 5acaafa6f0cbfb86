// The AWS SDK for JavaScript, unmodified, against a running hearth. Run by test_javascript_sdk.py.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(`${process.env.HEARTH_TEST_JAVASCRIPT_SDK}/`);
const {
  CreateAliasCommand, CreateFunctionCommand, CreateFunctionUrlConfigCommand, DeleteFunctionCommand, GetFunctionCommand,
  InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient, PublishLayerVersionCommand, PublishVersionCommand,
  PutFunctionConcurrencyCommand, TagResourceCommand, UpdateFunctionConfigurationCommand, paginateListFunctions,
  paginateListVersionsByFunction, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
} = require('@aws-sdk/client-lambda');

const client = new LambdaClient({
  endpoint: process.env.HEARTH_TEST_URL,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  maxAttempts: 1,
});
// Made by the one who runs this: a handler that answers the event, or throws it if it is a text.
const zip = Buffer.from(process.env.HEARTH_TEST_ZIP, 'base64');
const text = (payload) => new TextDecoder().decode(payload);
const patience = { client, maxWaitTime: 60, minDelay: 0.05, maxDelay: 0.1 };

// Deploys a function that goes with the test.
async function deploy(t, settings = {}) {
  const FunctionName = `javascript-${t.name.replaceAll(/[^a-z]+/gi, '-').slice(0, 40)}`;
  const created = await client.send(new CreateFunctionCommand({
    FunctionName, Runtime: process.env.HEARTH_TEST_RUNTIME, Handler: 'handler.handler', Timeout: 30,
    Role: 'arn:aws:iam::000000000000:role/any', Code: { ZipFile: zip }, ...settings,
  }));
  t.after(() => client.send(new DeleteFunctionCommand({ FunctionName })));
  await waitUntilFunctionActiveV2(patience, { FunctionName });
  return created;
}

const invoke = (FunctionName, event, more = {}) =>
  client.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(event), ...more }));

test('a function from its creation to its end', async (t) => {
  const { FunctionName, FunctionArn, State, LastModified } = await deploy(t, { Tags: { team: 'a' } });
  assert.equal(State, 'Pending');
  assert.match(LastModified, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/);
  const updated = await client.send(new UpdateFunctionConfigurationCommand({
    FunctionName, MemorySize: 256, Environment: { Variables: { KEY: 'ü' } },
  }));
  assert.equal(updated.LastUpdateStatus, 'InProgress');
  await waitUntilFunctionUpdatedV2(patience, { FunctionName });
  await client.send(new TagResourceCommand({ Resource: FunctionArn, Tags: { 'a b': 'c+d' } }));
  await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 2 }));
  const { Configuration, Code, Tags, Concurrency } = await client.send(new GetFunctionCommand({ FunctionName }));
  assert.deepEqual([Configuration.MemorySize, Configuration.Environment.Variables], [256, { KEY: 'ü' }]);
  assert.deepEqual([Tags, Concurrency], [{ team: 'a', 'a b': 'c+d' }, { ReservedConcurrentExecutions: 2 }]);
  assert.deepEqual(Buffer.from(await (await fetch(Code.Location)).arrayBuffer()), zip);
});

test('results, errors and the log', async (t) => {
  const { FunctionName } = await deploy(t);
  const answered = await invoke(FunctionName, { 'ä': [1, null] }, { LogType: 'Tail' });
  assert.deepEqual([answered.StatusCode, answered.FunctionError, answered.ExecutedVersion], [200, undefined, '$LATEST']);
  assert.deepEqual(JSON.parse(text(answered.Payload)), { 'ä': [1, null] });
  assert.match(Buffer.from(answered.LogResult, 'base64').toString(), /^START RequestId: .*REPORT RequestId: /s);
  const failed = await invoke(FunctionName, 'no luck');
  assert.deepEqual([failed.StatusCode, failed.FunctionError], [200, 'Unhandled']);
  assert.equal(JSON.parse(text(failed.Payload)).errorMessage, 'no luck');
  assert.equal((await invoke(FunctionName, {}, { InvocationType: 'Event' })).StatusCode, 202);
  assert.equal((await invoke(FunctionName, {}, { InvocationType: 'DryRun' })).StatusCode, 204);
});

test('versions, aliases and pages', async (t) => {
  const { FunctionName } = await deploy(t);
  for (const Description of ['one', 'two']) {
    await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Description }));
    await waitUntilFunctionUpdatedV2(patience, { FunctionName });
    await client.send(new PublishVersionCommand({ FunctionName }));
  }
  await client.send(new CreateAliasCommand({ FunctionName, Name: 'live', FunctionVersion: '1' }));
  assert.equal((await invoke(FunctionName, 1, { Qualifier: 'live' })).ExecutedVersion, '1');
  const versions = [];
  for await (const page of paginateListVersionsByFunction({ client, pageSize: 1 }, { FunctionName })) {
    versions.push(...page.Versions.map(({ Version }) => Version));
  }
  assert.deepEqual(versions, ['$LATEST', '1', '2']);
  const names = [];
  for await (const page of paginateListFunctions({ client, pageSize: 1 }, {})) {
    names.push(...page.Functions.map((found) => found.FunctionName));
  }
  assert.ok(names.includes(FunctionName));
});

test('a streamed response', async (t) => {
  const { FunctionName } = await deploy(t);
  const { EventStream } = await client.send(
    new InvokeWithResponseStreamCommand({ FunctionName, Payload: '{"a":1}', LogType: 'Tail' }),
  );
  const chunks = [];
  let complete;
  for await (const event of EventStream) {
    if (event.PayloadChunk) chunks.push(Buffer.from(event.PayloadChunk.Payload));
    if (event.InvokeComplete) complete = event.InvokeComplete;
  }
  assert.deepEqual(JSON.parse(Buffer.concat(chunks)), { a: 1 });
  assert.ok(complete.LogResult);
});

test('refusals are the errors that the SDK knows', async (t) => {
  const { FunctionName } = await deploy(t, { MemorySize: 128 });
  const refused = (command) => client.send(command).then(() => assert.fail('it was granted'), (error) => error);
  const missing = await refused(new GetFunctionCommand({ FunctionName: 'nowhere' }));
  assert.deepEqual([missing.name, missing.$metadata.httpStatusCode], ['ResourceNotFoundException', 404]);
  assert.match(missing.message, /^Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere/);
  const twice = await refused(new CreateFunctionCommand({
    FunctionName, Runtime: 'nodejs22.x', Handler: 'a.b', Role: 'arn:aws:iam::000000000000:role/any', Code: { ZipFile: zip },
  }));
  assert.equal(twice.name, 'ResourceConflictException');
  await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }));
  const throttled = await refused(new InvokeCommand({ FunctionName }));
  assert.deepEqual(
    [throttled.name, throttled.$metadata.httpStatusCode, throttled.Reason],
    ['TooManyRequestsException', 429, 'ReservedFunctionConcurrentInvocationLimitExceeded'],
  );
});

test('layers and urls', async (t) => {
  const { FunctionName } = await deploy(t);
  const layer = await client.send(new PublishLayerVersionCommand({ LayerName: 'javascript', Content: { ZipFile: zip } }));
  assert.match(layer.LayerVersionArn, /:layer:javascript:\d+$/);
  const { FunctionUrl } = await client.send(new CreateFunctionUrlConfigCommand({ FunctionName, AuthType: 'NONE' }));
  assert.match(FunctionUrl, /^http:\/\/[a-z0-9]{32}\.lambda-url\.us-east-1\./);
});
