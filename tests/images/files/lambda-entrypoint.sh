#!/bin/sh
# As in AWS's images: the handler is the only argument; the emulator comes between unless somebody else is there.
if [ $# -ne 1 ]; then
  echo "entrypoint requires the handler name to be the first argument" >&2
  exit 142
fi
export _HANDLER="$1"
for bootstrap in /var/runtime/bootstrap /var/task/bootstrap /opt/bootstrap; do
  [ -x "$bootstrap" ] && break
done
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec "$bootstrap"
fi
exec /usr/local/bin/aws-lambda-rie "$bootstrap"
