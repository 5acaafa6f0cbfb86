"""The smallest function that shows where it runs."""

import logging

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# What stands outside the handler runs once an instance, and lives as long as the instance does.
invocations = 0


def lambda_handler(event, context):
    global invocations
    invocations += 1
    name = event.get("name", "world")
    logger.info("greeting %s", name)
    return {
        "greeting": f"Hello, {name}!",
        "request_id": context.aws_request_id,
        "function": f"{context.function_name}:{context.function_version}",
        "invocations": invocations,
    }
