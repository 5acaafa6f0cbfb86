#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python@VERSION@
export PYTHONPATH="/var/runtime:$LAMBDA_TASK_ROOT:/opt/python"
exec $AWS_LAMBDA_EXEC_WRAPPER /var/lang/bin/python@VERSION@ -m awslambdaric "$_HANDLER"
