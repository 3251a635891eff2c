# Runs tests of CPython's own and writes one line for each to FILE: name, tab, outcome. Its
# regrtest prints no line that could be relied upon for tests with subtests or descriptions.
# python3 -I python.py FILE TEST…
import sys
import unittest
from test import support

ORDER = ["ok", "skip", "expected failure", "unexpected success", "fail", "error"]


class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.outcome = "ok"

    def note(self, outcome, test):
        if isinstance(test, unittest.TestCase) or hasattr(test, "test_case"):
            if ORDER.index(outcome.split(":")[0]) > ORDER.index(self.outcome.split(":")[0]):
                self.outcome = outcome
        else:  # A class or a module that could not be set up.
            self.write(test, outcome)

    def write(self, test, outcome):
        print(test.id(), " ".join(outcome.split()), sep="\t", file=out, flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self.note("error", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("fail", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.note("fail" if failed else "error", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skip: " + reason, test)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note("expected failure", test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note("unexpected success", test)

    def stopTest(self, test):
        super().stopTest(test)
        self.write(test, self.outcome)


out = open(sys.argv[1], "w")
# Nothing that needs much of the machine. There is no world to reach, as both sides will find.
support.use_resources = ["network"]
support.verbose = False
suite = unittest.TestSuite()
for name in sys.argv[2:]:
    try:
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(name))
    except unittest.SkipTest as why:
        print(name, "skip: " + " ".join(str(why).split()), sep="\t", file=out, flush=True)
unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)
out.close()
