import os

import greeting


def handler(event, context):
    return {
        "said": greeting.of(os.environ["GREETING"], event.get("name", "world")),
        "stage": os.environ["STAGE"],
        "version": context.function_version,
    }
