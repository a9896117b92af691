"""A job for the operator's tests: says its arguments as JSON and ends with the exit code it is given first."""

import json
import sys

if __name__ == "__main__":
    print(json.dumps(sys.argv[1:]))
    sys.exit(int(sys.argv[1]))
