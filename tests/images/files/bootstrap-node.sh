#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_nodejs@VERSION@.x
modules=/opt/nodejs/node@VERSION@/node_modules:/opt/nodejs/node_modules
export NODE_PATH="$modules:/var/runtime/node_modules:/var/runtime:$LAMBDA_TASK_ROOT"
exec $AWS_LAMBDA_EXEC_WRAPPER /var/lang/bin/node /var/runtime/index.mjs
