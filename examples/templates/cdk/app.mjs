// What cdk.out/ was made from, with aws-cdk-lib 2.276.0:
//   npm install aws-cdk-lib constructs && node app.mjs
import { App, CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import { Alias, Code, Function, FunctionUrlAuthType, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { Queue } from 'aws-cdk-lib/aws-sqs';

const app = new App({ outdir: 'cdk.out', analyticsReporting: false });
const stack = new Stack(app, 'Cdk');
const layer = new LayerVersion(stack, 'Shared', { code: Code.fromAsset('../sam/shared') });
const hello = new Function(stack, 'Hello', {
  runtime: Runtime.PYTHON_3_13,
  handler: 'app.handler',
  code: Code.fromAsset('../sam/src'),
  layers: [layer],
  timeout: Duration.seconds(10),
  memorySize: 256,
  environment: { GREETING: 'Hello', STAGE: 'local' },
  retryAttempts: 1,
  onFailure: new SqsDestination(new Queue(stack, 'Failed')),
});
const live = new Alias(stack, 'Live', { aliasName: 'live', version: hello.currentVersion });
const url = live.addFunctionUrl({ authType: FunctionUrlAuthType.NONE });
new CfnOutput(stack, 'Url', { value: url.url });
new CfnOutput(stack, 'Arn', { value: hello.functionArn });
app.synth();
