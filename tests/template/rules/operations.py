"""Schedules, alarms, partitions."""

import re

from project import SCHEDULED, pascal
from stack import ROOT, target

from rules.policies import listed, of_role

# What is about payments alone.
PAYMENT_ALARMS = {
    "NotificationRefusedAlarm",
    "PaidAfterClosedAlarm",
    "PayKeysNotRefreshedAlarm",
    "PaymentQuarantinedAlarm",
    "RefundAbnormalAlarm",
    "StuckAlarm",
    "SweepFailedAlarm",
    "SweepIncompleteAlarm",
    "SweeperSilentAlarm",
}
# Those that are there with `Alarms=essential`: ten metrics where there are two apps, and ten are free in CloudWatch.
ESSENTIAL_ALARMS = {
    "Api5xxAlarm",
    "DeadLettersAlarm",
    "NatInstanceAlarm",
    "PaidAfterClosedAlarm",
    "PaymentQuarantinedAlarm",
    "RefundAbnormalAlarm",
    "StuckAlarm",
    "SweeperSilentAlarm",
    "TokenExpiringAlarm",
}
# Alarms on a query: what it has to ask of a metric, whose series have one app each.
QUERY_ALARMS = {
    "TokenExpiringAlarm": 'SELECT MIN(TokenSecondsLeft) FROM SCHEMA("{}", appId) GROUP BY appId ORDER BY MIN() ASC',
    "RefreshFailedAlarm": 'SELECT SUM(RefreshFailed) FROM SCHEMA("{}", appId) GROUP BY appId ORDER BY SUM() DESC',
}
# Events that are not over because no other one has come since: no mail says that they are.
EVENT_ALARMS = {"IdentityConflictAlarm", "PaidAfterClosedAlarm", "PaymentQuarantinedAlarm", "RefundAbnormalAlarm"}


def schedules_send_an_empty_object(stack):
    runs = {"token-refresher": stack.values["Live"] == "true", "order-sweeper": stack.values["Payments"] != "false"}
    schedules = stack.of_type("AWS::Scheduler::Schedule").values()
    found = {target(schedule["Properties"]["Target"]["Arn"]): schedule["Properties"] for schedule in schedules}
    if found.keys() != {f"{pascal(name)}Function.Arn" for name in SCHEDULED}:
        yield f"schedules of {sorted(found)}"
        return
    for name in SCHEDULED:
        schedule = found[f"{pascal(name)}Function.Arn"]
        if (schedule["ScheduleExpression"], schedule["Target"]["Input"]) != ("rate(1 minute)", "{}"):
            yield f"{name} is not run every minute with an empty object"
        if schedule["State"] != ("ENABLED" if runs[name] else "DISABLED"):
            yield f"the schedule of {name} is {schedule['State']}"
        role = target(schedule["Target"]["RoleArn"]).removesuffix(".Arn")
        invokes = [s for s in of_role(stack, role) if "lambda:InvokeFunction" in listed(s["Action"])]
        if f"{pascal(name)}Function.Arn" not in {target(r) for s in invokes for r in listed(s["Resource"])}:
            yield f"{role} may not invoke {name}"


def no_scheduled_run_is_lost_or_repeated(stack):
    for name in SCHEDULED:
        to = stack.properties(f"{pascal(name)}Schedule")["Target"]
        if not to["RetryPolicy"]["MaximumRetryAttempts"] or target(to["DeadLetterConfig"]["Arn"]) != "DeadLetters.Arn":
            yield f"a schedule of {name} that is not delivered is lost"
        failures = stack.properties(f"{pascal(name)}Failures")
        sent_to = target(failures["DestinationConfig"]["OnFailure"]["Destination"])
        if (failures["MaximumRetryAttempts"], sent_to) != (0, "DeadLetters.Arn"):
            yield f"a run of {name} that failed is repeated, or lost"
        for role in ("SchedulerRole", f"{pascal(name)}Role"):
            if not any("sqs:SendMessage" in listed(statement["Action"]) for statement in of_role(stack, role)):
                yield f"{role} may not write to DeadLetters"


def every_alarm_of_the_runbook_is_there(stack):
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    expected = set(re.findall(r"^## (\w+Alarm)$", runbook, re.MULTILINE)) if stack.holds("IsLive") else set()
    expected &= ESSENTIAL_ALARMS if stack.values["Alarms"] == "essential" else expected
    expected -= PAYMENT_ALARMS if stack.values["Payments"] == "false" else set()
    expected -= {"NatInstanceAlarm"} if stack.values["Egress"] != "nat-instance" else set()
    expected -= {"NatPortsAlarm"} if stack.values["Egress"] != "nat-gateway" else set()
    for name in expected ^ stack.of_type("AWS::CloudWatch::Alarm").keys():
        yield f"{name} is there" if name not in expected else f"{name} is missing"


def every_alarm_reaches_a_person(stack):
    to = stack.values["AlarmTopicArn"] or {"Ref": "AlarmTopic"}
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        if not properties["AlarmDescription"].endswith(f"See docs/runbook.md, {name}."):
            yield f"{name} does not say where to read on"
        if to not in properties["AlarmActions"] or properties.get("ActionsEnabled") is False:
            yield f"nobody hears of {name}"
        if (to in properties.get("OKActions", [])) == (name in EVENT_ALARMS):
            yield f"{name} says that it is over, or does not"


def every_alarm_is_about_this_stack(stack):
    files = [*ROOT.glob("shared/src/log.rs"), *ROOT.glob("shared/src/log/*.rs")]
    written = "".join(path.read_text(encoding="utf-8") for path in files)
    namespace = stack.properties("LoginFunction")["Environment"]["Variables"]["METRICS_NAMESPACE"]
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        if name in QUERY_ALARMS:
            # One expression, with a period of its own, is what an alarm for each series of a query takes.
            expected = {"Expression": QUERY_ALARMS[name].format(namespace), "Period": 60}
            queries = [{key: query.get(key) for key in expected} for query in properties.get("Metrics", [])]
            if queries != [expected] or "MetricName" in properties:
                yield f"{name} does not ask about each app of this stack"
            metric = re.search(r"\((\w+)\)", QUERY_ALARMS[name])[1]
            if f'"{metric}"' not in written or '&["appId"]' not in written:
                yield f"{name} is about {metric} of each app, which no function writes"
            if properties["TreatMissingData"] != "notBreaching":
                yield f"{name} sounds for an app that is gone"
            continue
        if properties.get("Namespace", "AWS/").startswith("AWS/"):
            stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
            for metric in stats or [properties]:
                dimensions = [target(dimension["Value"]) for dimension in metric["Dimensions"]]
                if not dimensions or any(str(value).split(".")[0] not in stack.resources for value in dimensions):
                    yield f"{name} is about {dimensions}"
            continue
        if properties["Namespace"] != namespace or "Dimensions" in properties:
            yield f"{name} is about another stack, or one function"
        if f'"{properties["MetricName"]}"' not in written:
            yield f"{name} is about {properties['MetricName']}, which nobody writes"


def a_live_stack_is_heard(stack):
    """Its alarms go to a topic that is given, or to one of ours with a subscription; or the parameters are refused."""
    is_heard = stack.values["AlarmTopicArn"] or stack.of_type("AWS::SNS::Subscription")
    if stack.holds("IsLive") and not is_heard and not list(stack.refusals()):
        yield "there are alarms, and they reach no person"


def the_dashboard_is_of_one_region(stack):
    """Dashboards are of all regions: two stacks of one name would have one between them."""
    for name, dashboard in stack.of_type("AWS::CloudWatch::Dashboard").items():
        if dashboard["Properties"]["DashboardName"] != f"prod-{stack.values['AWS::Region']}":
            yield f"{name} is called {dashboard['Properties']['DashboardName']} in every region"


def nothing_is_of_one_partition(stack):
    other = {"aws": "aws-cn", "aws-cn": "aws"}[stack.partition]
    for name, resource in stack.resources.items():
        text = str(resource)
        if f"arn:{other}:" in text:
            yield f"{name} names the partition {other}"
        # The principals of services are called the same everywhere.
        hosts = re.findall(r"[\w${}.-]+\.amazonaws\.com(?:\.cn)?", text)
        hosts = [host for host in hosts if not re.fullmatch(r"(apigateway|lambda|scheduler)\.amazonaws\.com", host)]
        if any(host.endswith(".cn") != (stack.partition == "aws-cn") for host in hosts):
            yield f"{name} names a host of the partition {other}: {hosts}"
