"""Whatever the parameters are, CloudFormation finds an order: nothing waits for itself, or for what is not there."""

import itertools
import unittest

import graph
from rules.ready import without_order
from stack import Deployment, expand, source, values_of
from test_deployments import EGRESS, PAYMENTS, SCOPES, given

SWITCHES = {
    "AlarmEmail": "ops@example.com",
    "Alarms": "essential",
    "FunctionUrls": "true",
    "Live": "true",
    "TableStream": "true",
    "Tracing": "true",
}
GIVEN = [
    given("TableArn"),
    given("DomainName", "CertificateArn"),
    given("EipAllocationId", "EgressIps", "Zones"),
    given("WechatAppsSecretArn", "WechatPaySecretArn", "SealKeySecretArn"),
    given("KmsKeyArn", "SecretsKmsKeyArn"),
    given("AlarmTopicArn"),
]


def parameter_sets():
    """All of `Egress`, `EgressScope`, `Payments`, with each pair of what else has a condition, and with all of that."""
    others = [{name: value} for name, value in SWITCHES.items()] + GIVEN
    chosen = [(), *itertools.combinations(others, 1), *itertools.combinations(others, 2), tuple(others)]
    for egress, scope, payments in itertools.product(EGRESS, SCOPES, PAYMENTS):
        for parts in chosen:
            parameters = {"Egress": egress, "EgressScope": scope, "Payments": payments}
            yield parameters | {name: value for part in parts for name, value in part.items()}


class Order(unittest.TestCase):
    def test_no_parameters_make_a_cycle(self):
        template = source()
        expanded = expand(template, values_of(template, {}))  # Its conditions and edges are the same for all.
        known = list(graph.edges(expanded))
        sets = list(parameter_sets())
        self.assertGreater(len(sets), 512)
        for parameters in sets:
            for partition in ("aws", "aws-cn"):
                deployment = Deployment(expanded, values_of(template, parameters), partition)
                problems = list(without_order(graph.needs(expanded, deployment.holds, known)))
                self.assertEqual(problems, [], f"{partition} {parameters}")


if __name__ == "__main__":
    unittest.main()
