"""The template as CloudFormation has it: expanded by AWS's own translator, with the conditions of one set of parameters
decided. What only a deployment knows, such as an ARN, stays the intrinsic function that it is."""

import copy
import functools
import logging
import os
from pathlib import Path

import graph
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]

REGIONS = {"aws": "us-east-1", "aws-cn": "cn-northwest-1"}
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
ABSENT = object()

os.environ["AWS_DEFAULT_REGION"] = "us-east-1"  # The translator wants one, whatever it is.

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # It warns of usage metrics that it does not send.


def source():
    """template.yaml, as it is written."""
    return copy.deepcopy(parsed())


@functools.cache
def parsed():
    """The same, for all."""
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


class NoManagedPolicies:
    """The translator asks for AWS's managed policies by name; the template names them by ARN."""

    def load(self):
        return {}


def values_of(template, parameters):
    """The value of every parameter: what is given, or its default."""
    declared = template["Parameters"]
    unknown = parameters.keys() - declared.keys()
    assert not unknown, f"no such parameters: {unknown}"
    return {name: parameters.get(name, parameter.get("Default")) for name, parameter in declared.items()}


def expand(template, values):
    """The template as CloudFormation sees it after SAM's transform."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":  # As `sam package` does it.
            resource["Properties"]["CodeUri"] = f"s3://packages/{resource['Properties']['CodeUri']}"
    return transform(template, values, NoManagedPolicies())


class Deployment:
    """What the parameters of one deployment decide about a template that is expanded."""

    def __init__(self, expanded, values, partition="aws"):
        self.partition = partition
        self.values = {
            **values,
            "AWS::Partition": partition,
            "AWS::Region": REGIONS[partition],
            "AWS::URLSuffix": SUFFIXES[partition],
            "AWS::AccountId": "123456789012",
            "AWS::StackName": "prod",
            "AWS::NoValue": ABSENT,
        }
        self.conditions = expanded.get("Conditions", {})
        self.assertions = expanded.get("Rules", {})

    def holds(self, condition):
        """Whether a condition holds."""
        return self._decide(self.conditions[condition])

    def refusals(self):
        """Why CloudFormation would not begin with the parameters: what the template's `Rules` say."""
        for rule in self.assertions.values():
            if "RuleCondition" not in rule or self._decide(rule["RuleCondition"]):
                for assertion in rule["Assertions"]:
                    if not self._decide(assertion["Assert"]):
                        yield assertion["AssertDescription"]

    def _decide(self, condition):
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = (self._resolve(side) for side in argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self._decide(argument[0])
            case "Fn::And":
                return all(self._decide(part) for part in argument)
            case "Fn::Or":
                return any(self._decide(part) for part in argument)
        raise AssertionError(f"unknown in a condition: {function}")

    def _resolve(self, value):
        if isinstance(value, list):
            return [item for item in map(self._resolve, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            match function:
                case "Ref" if argument in self.values:
                    return self.values[argument]
                case "Fn::If":
                    return self._resolve(argument[1] if self.holds(argument[0]) else argument[2])
                case "Fn::Split":
                    separator, text = self._resolve(argument)
                    return text.split(separator)
                case "Fn::Select":
                    index, choices = self._resolve(argument)
                    return choices[int(index)] if isinstance(choices, list) else {function: [index, choices]}
                case "Fn::Sub":
                    return self._substitute(argument)
        pairs = ((name, self._resolve(item)) for name, item in value.items())
        return {name: item for name, item in pairs if item is not ABSENT}

    def _substitute(self, argument):
        """The text, with what is known put in; the rest stays `${..}`."""
        text, given = (argument, {}) if isinstance(argument, str) else argument
        for name, value in self.values.items():
            text = text.replace(f"${{{name}}}", str(value))
        for name, value in given.items():
            value = self._resolve(value)
            text = text.replace(f"${{{name}}}", value if isinstance(value, str) else f"${{{target(value)}}}")
        return text


class Stack(Deployment):
    """One deployment: `parameters` beside the defaults, in a partition."""

    def __init__(self, template=None, partition="aws", **parameters):
        template = template or source()
        values = values_of(template, parameters)
        expanded = expand(template, values)
        super().__init__(expanded, values, partition)
        self.resources = self._kept(expanded["Resources"])
        self.outputs = self._kept(expanded.get("Outputs", {}))
        self.needs = graph.needs(expanded, self.holds)

    def of_type(self, kind):
        """The resources of a type, by their logical ids."""
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}

    def properties(self, name):
        """The properties of a resource."""
        return self.resources[name].get("Properties", {})

    def _kept(self, entries):
        holding = {name: entry for name, entry in entries.items() if self._holds_for(entry)}
        return {name: self._resolve(entry) for name, entry in holding.items()}

    def _holds_for(self, entry):
        return "Condition" not in entry or self.holds(entry["Condition"])


def target(value):
    """What a `Ref` or a `GetAtt` names: `LoginFunction.Arn`."""
    match value:
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::GetAtt": str(text)}:
            return text
    return value
