"""What `sam deploy` sets each time: a parameter that samconfig.toml names loses what an operator has set since."""

import tomllib
import unittest

from stack import ROOT, source

# What operators change at a stack that runs. What is not named keeps its value: SAM sends `UsePreviousValue` for it.
SWITCHES = {"ConfigVersion", "Live", "NatInstanceRelease", "PayNotifySecret", "Payments"}


def resets(text):
    """The switches that a deployment by this samconfig.toml would set back, by environment."""
    for environment, commands in tomllib.loads(text).items():
        if not isinstance(commands, dict):
            continue
        given = commands.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
        for pair in given.split() if isinstance(given, str) else given:
            name = pair.split("=")[0]
            if name in SWITCHES:
                yield f"{environment} sets {name}"


class Samconfig(unittest.TestCase):
    def setUp(self):
        self.text = (ROOT / "samconfig.toml").read_text(encoding="utf-8")

    def test_no_deployment_sets_a_switch_back(self):
        self.assertEqual(list(resets(self.text)), [])

    def test_it_names_parameters_that_there_are(self):
        names = {
            pair.split("=")[0]
            for commands in tomllib.loads(self.text).values()
            if isinstance(commands, dict)
            for pair in commands.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
        }
        self.assertLessEqual(names, source()["Parameters"].keys())
        self.assertLessEqual(SWITCHES, source()["Parameters"].keys())

    def test_a_switch_is_found_in_either_form(self):
        for given in ('["Egress=none", "Live=false"]', '"Egress=none Live=false"'):
            text = f"[prod.deploy.parameters]\nparameter_overrides = {given}\n"
            self.assertEqual(list(resets(text)), ["prod sets Live"])


if __name__ == "__main__":
    unittest.main()
