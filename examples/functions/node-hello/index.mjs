// The smallest function that shows where it runs.

// What stands outside the handler runs once an instance, and lives as long as the instance does.
let invocations = 0;

export const handler = async (event, context) => {
  invocations += 1;
  const name = event.name ?? 'world';
  console.log('greeting', name);
  return {
    greeting: `Hello, ${name}!`,
    requestId: context.awsRequestId,
    function: `${context.functionName}:${context.functionVersion}`,
    invocations,
  };
};
