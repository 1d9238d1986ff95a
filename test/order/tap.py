"""The few words of TAP that the Python tests speak."""
import sys


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0

    def ok(self, good, name):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        return good

    def diag(self, text):
        for line in str(text).splitlines():
            print("#", line, flush=True)

    def done(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
