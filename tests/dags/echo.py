"""A job for the tests of the operator: prints its arguments as JSON and exits with the first one.

With SPARSETAG_TEST_EVENT in the environment it logs an event instead.
"""

import json
import os
import sys

from conf import log

if __name__ == "__main__":
    if "SPARSETAG_TEST_EVENT" in os.environ:
        log.configure()
        log.event("arguments", n=len(sys.argv[1:]))
    else:
        print(json.dumps(sys.argv[1:]))
    sys.exit(int(sys.argv[1]))
