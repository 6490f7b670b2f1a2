"""Schedules, alarms, partitions."""

import re

from project import SCHEDULED, pascal
from rules.policies import statements
from stack import ROOT, target


def schedules_send_an_empty_object(stack):
    live = {"token-refresher": stack.holds("IsLive"), "order-sweeper": stack.holds("IsLiveWithPayments")}
    schedules = stack.of_type("AWS::Scheduler::Schedule").values()
    found = {target(schedule["Properties"]["Target"]["Arn"]): schedule["Properties"] for schedule in schedules}
    if found.keys() != {f"{pascal(name)}Function.Arn" for name in SCHEDULED}:
        yield f"schedules of {sorted(found)}"
        return
    for name in SCHEDULED:
        schedule = found[f"{pascal(name)}Function.Arn"]
        to = schedule["Target"]
        if (schedule["ScheduleExpression"], to["Input"]) != ("rate(1 minute)", "{}"):
            yield f"{name} is not run every minute with an empty object"
        if schedule["State"] != ("ENABLED" if live[name] else "DISABLED"):
            yield f"the schedule of {name} is {schedule['State']}"
        if not to["RetryPolicy"]["MaximumRetryAttempts"] or target(to["DeadLetterConfig"]["Arn"]) != "DeadLetters.Arn":
            yield f"a schedule of {name} that is not delivered is lost"
        failures = stack.properties(f"{pascal(name)}Failures")
        sent_to = target(failures["DestinationConfig"]["OnFailure"]["Destination"])
        if (failures["MaximumRetryAttempts"], sent_to) != (0, "DeadLetters.Arn"):
            yield f"a run of {name} that failed is repeated, or lost"
        for role in ("SchedulerRole", f"{pascal(name)}Role"):
            may = any(
                s["Action"] in ("sqs:SendMessage", ["sqs:SendMessage"])
                for where, s in statements(stack)
                if where == role
            )
            if not may:
                yield f"{role} may not write to DeadLetters"


def alarms_are_for_a_person(stack):
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    if bool(alarms) != stack.holds("IsLive"):
        yield "alarms before the secrets are filled" if alarms else "no alarms"
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    metrics = (ROOT / "shared/src/log.rs").read_text(encoding="utf-8")
    namespace = stack.properties("LoginFunction")["Environment"]["Variables"]["METRICS_NAMESPACE"]
    to = stack.values["AlarmTopicArn"] or {"Ref": "AlarmTopic"}
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        if f"\n## {name}\n" not in runbook or not properties["AlarmDescription"].endswith(
            f"See docs/runbook.md, {name}."
        ):
            yield f"{name} has no paragraph in the runbook"
        if to not in properties["AlarmActions"] or to not in properties["OKActions"]:
            yield f"nobody hears of {name}"
        if properties.get("Namespace", "AWS/").startswith("AWS/"):
            continue
        if properties["Namespace"] != namespace or "Dimensions" in properties:
            yield f"{name} is about another stack, or one function"
        if f'"{properties["MetricName"]}"' not in metrics:
            yield f"{name} is about {properties['MetricName']}, which nobody writes"


def nothing_is_of_one_partition(stack):
    suffix, other = {"aws": ("aws", "aws-cn"), "aws-cn": ("aws-cn", "aws")}[stack.partition]
    for name, resource in stack.resources.items():
        text = str(resource)
        if f"arn:{other}:" in text:
            yield f"{name} names the partition {other}"
        if stack.partition == "aws-cn" and re.search(r"\.us-east-1\.|amazonaws\.com/", text):
            yield f"{name} names a host of {suffix}"
