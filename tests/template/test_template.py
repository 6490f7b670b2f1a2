"""Every deployment that the parameters allow for keeps the rules, and a template that does not is found out.

python -m unittest discover tests/template
"""

import copy
import itertools
import re
import unittest

import rules
import table
from project import names, pascal
from stack import ROOT, Stack, source

GIVEN = {
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "EgressIps": "198.51.100.7",
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
    "WechatAppsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:apps-AbCdEf",
    "WechatPaySecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:pay-AbCdEf",
    "SealKeySecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:seal-AbCdEf",
    "EipAllocationId": "eipalloc-0123456789abcdef0",
    "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/restored",
    "Zones": "us-east-1b,us-east-1c",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
    "SecretsKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/2",
}
EGRESS = ["nat-gateway", "nat-instance", "existing", "none"]
SCOPES = ["token-refresher", "all"]


def given(*names):
    return {name: GIVEN[name] for name in names}


class Deployments(unittest.TestCase):
    def assert_sound(self, partition="aws", **parameters):
        with self.subTest(partition=partition, **parameters):
            self.assertEqual(rules.problems(Stack(partition=partition, **parameters)), [])

    def test_every_egress_and_scope_in_both_partitions(self):
        for egress, scope, live, partition in itertools.product(EGRESS, SCOPES, ("false", "true"), ("aws", "aws-cn")):
            existing = given("SubnetIds", "SecurityGroupIds", "EgressIps") if egress == "existing" else {}
            self.assert_sound(partition, Egress=egress, EgressScope=scope, Live=live, **existing)

    def test_what_is_there_already(self):
        self.assert_sound(**given("DomainName", "CertificateArn"), Live="true")
        self.assert_sound(**given("WechatAppsSecretArn", "WechatPaySecretArn", "SealKeySecretArn"))
        self.assert_sound(**given("AlarmTopicArn"), Live="true")
        self.assert_sound(**given("KmsKeyArn", "SecretsKmsKeyArn"))
        self.assert_sound(**given("TableArn"), Live="true", EgressScope="all")
        for egress in ("nat-gateway", "nat-instance"):
            self.assert_sound(**given("EipAllocationId", "EgressIps", "Zones"), Egress=egress)

    def test_what_is_asked_for(self):
        self.assert_sound(FunctionUrls="true")
        self.assert_sound("aws-cn", FunctionUrls="true")
        self.assert_sound(Tracing="true", TableStream="true", Architecture="x86_64")
        self.assert_sound(AlarmEmail="ops@example.com", Live="true", Payments="false")
        self.assert_sound(PublicReservedConcurrency=5, DirectReservedConcurrency=1, ConfigVersion="2", LogLevel="debug")


class Parameters(unittest.TestCase):
    """What a parameter changes, beside what the rules say."""

    def variables(self, stack, function):
        return stack.properties(f"{function}Function")["Environment"]["Variables"]

    def test_function_urls_are_off_until_asked_for_and_never_in_china(self):
        def count(stack):
            return len(stack.of_type("AWS::Lambda::Url"))

        self.assertEqual(count(Stack()), 0)
        self.assertEqual(count(Stack(FunctionUrls="true")), 8)
        self.assertEqual(count(Stack(partition="aws-cn", FunctionUrls="true")), 0)

    def test_concurrency_is_reserved_only_when_asked_for(self):
        def reserved(stack):
            return {
                name: function["Properties"].get("ReservedConcurrentExecutions")
                for name, function in stack.of_type("AWS::Lambda::Function").items()
            }

        self.assertEqual(set(reserved(Stack()).values()), {None})
        asked = reserved(Stack(PublicReservedConcurrency=5, DirectReservedConcurrency=1))
        self.assertEqual((asked["LoginFunction"], asked["TokenRefresherFunction"]), (5, 1))

    def test_config_version_is_in_every_environment(self):
        stack = Stack(ConfigVersion="42")
        for name in names():
            self.assertEqual(self.variables(stack, pascal(name))["CONFIG_VERSION"], "42", name)

    def test_without_payments_the_sweeper_has_no_alarms(self):
        with_payments = Stack(Live="true").of_type("AWS::CloudWatch::Alarm").keys()
        without = Stack(Live="true", Payments="false").of_type("AWS::CloudWatch::Alarm").keys()
        self.assertIn("SweeperSilentAlarm", with_payments - without)
        self.assertIn("TokenExpiringAlarm", without)

    def test_a_table_that_is_given_is_used_everywhere(self):
        stack = Stack(**given("TableArn"))
        self.assertEqual(self.variables(stack, "Login")["TABLE_NAME"], "restored")
        self.assertEqual(stack.outputs["TableName"]["Value"], "restored")
        self.assertNotIn("GetAtt', ['Table'", str(stack.resources))
        self.assertNotIn("{'Ref': 'Table'}", str(stack.resources))

    def test_a_stream_and_traces_are_there_when_asked_for(self):
        def stream(stack):
            return stack.properties("Table").get("StreamSpecification")

        self.assertIsNone(stream(Stack()))
        self.assertEqual(stream(Stack(TableStream="true")), {"StreamViewType": "NEW_AND_OLD_IMAGES"})

        def mode(stack):
            return stack.properties("LoginFunction")["TracingConfig"]["Mode"]

        self.assertEqual((mode(Stack()), mode(Stack(Tracing="true"))), ("PassThrough", "Active"))

    def test_a_customers_key_encrypts_and_may_be_used(self):
        stack = Stack(**given("KmsKeyArn", "SecretsKmsKeyArn"))
        self.assertEqual(stack.properties("Table")["SSESpecification"]["KMSMasterKeyId"], GIVEN["KmsKeyArn"])
        self.assertEqual(stack.properties("SealKeySecret")["KmsKeyId"], GIVEN["KmsKeyArn"])
        roles = {f"{pascal(name)}Role" for name in names()}
        self.assertEqual({role["Ref"] for role in stack.properties("KmsKeyPolicy")["Roles"]}, roles)
        with_secrets = {role["Ref"] for role in stack.properties("SecretsKmsKeyPolicy")["Roles"]}
        self.assertEqual(with_secrets, roles - {"LogoutRole"})

    def test_mail_goes_to_who_is_named(self):
        self.assertEqual(Stack().of_type("AWS::SNS::Subscription"), {})
        self.assertEqual(
            Stack(AlarmEmail="ops@example.com").properties("AlarmSubscription")["Endpoint"], "ops@example.com"
        )
        self.assertNotIn("AlarmTopic", Stack(**given("AlarmTopicArn")).resources)


class Documents(unittest.TestCase):
    def test_the_table_of_the_functions_is_the_templates(self):
        self.assertIn(table.table(Stack()), (ROOT / "docs/aws.md").read_text(encoding="utf-8"))

    def test_every_parameter_is_described(self):
        text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
        missing = {name for name in source()["Parameters"] if not re.search(rf"\b{name}\b", text)}
        # What functions have as variables too is in README.md.
        self.assertEqual(missing, {"MaxOpenOrders", "OrderTtlSecs", "SessionTtlSecs", "WechatPayApiUrls"})


class Broken(unittest.TestCase):
    """Templates that somebody might write: each is found out, and for its own reason."""

    def assert_found(self, problem, change, **parameters):
        template = copy.deepcopy(source())
        change(template["Resources"])
        found = rules.problems(Stack(template, **parameters))
        self.assertEqual([text for text in found if problem not in text], [], "found for another reason")
        self.assertTrue(found, "not found")

    def statement(self, resources, role, sid):
        own = resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        return next(statement for statement in own if statement["Sid"] == sid)

    def test_a_wildcard_action(self):
        def change(resources):
            self.statement(resources, "LogoutRole", "Authenticate")["Action"] = "dynamodb:*"

        self.assert_found("LogoutRole may do dynamodb:*", change)

    def test_a_wildcard_resource(self):
        def change(resources):
            self.statement(resources, "LoginRole", "ReadSecrets")["Resource"] = "*"

        self.assert_found("Login", change)

    def test_a_managed_policy_of_everything(self):
        def change(resources):
            arn = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonDynamoDBFullAccess"}
            resources["LoginRole"]["Properties"]["ManagedPolicyArns"].append(arn)

        self.assert_found("LoginRole has arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess", change)

    def test_a_statement_for_every_partition(self):
        def change(resources):
            del self.statement(resources, "LoginRole", "Read")["Condition"]

        self.assert_found("LoginRole may do ['dynamodb:GetItem'] to every partition", change)

    def test_another_functions_role(self):
        def change(resources):
            resources["LogoutFunction"]["Properties"]["Role"] = {"Fn::GetAtt": ["LoginRole", "Arn"]}

        self.assert_found("LogoutFunction has not the role LogoutRole", change)

    def test_a_function_without_a_route(self):
        def change(resources):
            del resources["CardExtRoute"]

        self.assert_found("card-ext has no route", change)

    def test_a_route_to_staffs_function(self):
        def change(resources):
            route = copy.deepcopy(resources["LoginRoute"])
            route["Properties"]["RouteKey"] = "POST /refund-order"
            resources["RefundOrderRoute"] = route

        self.assert_found("POST /refund-order is no public function", change)

    def test_a_function_that_everybody_may_invoke(self):
        def change(resources):
            properties = {
                "FunctionName": {"Ref": "RefundOrderFunction"},
                "Action": "lambda:InvokeFunction",
                "Principal": "*",
            }
            resources["Open"] = {"Type": "AWS::Lambda::Permission", "Properties": properties}

        self.assert_found("* may invoke refund-order", change)

    def test_a_table_without_deletion_protection(self):
        def change(resources):
            del resources["Table"]["Properties"]["DeletionProtectionEnabled"]

        self.assert_found("the table has no deletion protection", change)

    def test_a_table_that_goes_with_its_stack(self):
        def change(resources):
            del resources["Table"]["DeletionPolicy"]

        self.assert_found("Table is deleted with the stack", change)

    def test_a_function_url_with_one_permission(self):
        for permission, action in (
            ("LoginUrlPermission", "lambda:InvokeFunctionUrl"),
            ("LoginUrlInvokePermission", "lambda:InvokeFunction"),
        ):

            def change(resources, permission=permission):
                del resources[permission]

            self.assert_found(f"login's URL lacks the permission {action}", change, FunctionUrls="true")

    def test_logs_that_are_kept_for_good(self):
        def change(resources):
            del resources["LoginLogGroup"]["Properties"]["RetentionInDays"]

        self.assert_found("LoginLogGroup keeps logs for good", change)

    def test_a_schedule_without_an_input(self):
        def change(resources):
            resources["TokenRefresherSchedule"]["Properties"]["Target"]["Input"] = ""

        self.assert_found("token-refresher is not run every minute with an empty object", change)

    def test_a_run_that_failed_and_is_repeated(self):
        def change(resources):
            resources["OrderSweeperFailures"]["Properties"]["MaximumRetryAttempts"] = 2

        self.assert_found("a run of order-sweeper that failed is repeated, or lost", change)

    def test_a_refresher_without_the_fixed_address(self):
        def change(resources):
            del resources["TokenRefresherFunction"]["Properties"]["VpcConfig"]

        self.assert_found("token-refresher", change)

    def test_a_secret_in_plain_text(self):
        def change(resources):
            resources["UserInfoFunction"]["Properties"]["Environment"]["Variables"]["SEAL_KEY"] = "x" * 43

        self.assert_found("UserInfoFunction has the secret SEAL_KEY in plain text", change)

    def test_a_seal_key_that_may_have_a_comma(self):
        def change(resources):
            resources["SealKeySecret"]["Properties"]["GenerateSecretString"]["ExcludePunctuation"] = False

        self.assert_found("the seal key is short, or may have a comma", change)

    def test_an_alarm_that_nobody_can_act_on(self):
        def change(resources):
            resources["NewAlarm"] = copy.deepcopy(resources["StuckAlarm"])

        self.assert_found("NewAlarm has no paragraph in the runbook", change, Live="true")

    def test_a_metric_that_nobody_writes(self):
        def change(resources):
            resources["StuckAlarm"]["Properties"]["MetricName"] = "Sticky"

        self.assert_found("StuckAlarm is about Sticky, which nobody writes", change, Live="true")

    def test_an_access_log_with_a_query(self):
        def change(resources):
            settings = resources["HttpApiStage"]["Properties"]["AccessLogSettings"]
            settings["Format"] = settings["Format"].replace("$context.routeKey", "$context.path")

        self.assert_found("the access log has path", change)


if __name__ == "__main__":
    unittest.main()
