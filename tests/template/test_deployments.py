"""Every deployment that the parameters allow for keeps the rules, and a template that does not is found out.

python -m unittest discover tests/template
"""

import itertools
import re
import unittest

import rules
import table
from project import names, pascal
from rules.payments import ways_in
from stack import ROOT, Stack, source

GIVEN = {
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "EgressIps": "198.51.100.7",
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
    "WechatAppsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:apps-AbCdEf",
    "WechatPaySecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:pay-AbCdEf",
    "WechatPayVerifySecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:verify-AbCdEf",
    "SealKeySecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:seal-AbCdEf",
    "EipAllocationId": "eipalloc-0123456789abcdef0",
    "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/restored",
    "Zones": "us-east-1b,us-east-1c",
    "AlarmEmail": "ops@example.com",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
    "SecretsKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/2",
}
ALARM = "AWS::CloudWatch::Alarm"
EGRESS = ["nat-gateway", "nat-instance", "existing", "none"]
PAYMENTS = ["true", "draining", "false"]
SCOPES = ["token-refresher", "all"]


def given(*names):
    return {name: GIVEN[name] for name in names}


class Deployments(unittest.TestCase):
    def assert_sound(self, partition="aws", **parameters):
        with self.subTest(partition=partition, **parameters):
            stack = Stack(partition=partition, **parameters)
            self.assertEqual(list(stack.refusals()), [])
            self.assertEqual(rules.problems(stack), [])

    def test_every_egress_and_scope_in_both_partitions(self):
        for egress, scope, live, partition in itertools.product(EGRESS, SCOPES, ("false", "true"), ("aws", "aws-cn")):
            existing = given("SubnetIds", "SecurityGroupIds", "EgressIps") if egress == "existing" else {}
            heard = given("AlarmEmail") if live == "true" else {}
            self.assert_sound(partition, Egress=egress, EgressScope=scope, Live=live, **existing, **heard)

    def test_payments_with_and_without_live_and_urls(self):
        for payments, live, urls in itertools.product(PAYMENTS, ("false", "true"), ("false", "true")):
            others = {"PublicReservedConcurrency": 5} if urls == "true" else {}
            others |= given("AlarmEmail") if live == "true" else {}
            self.assert_sound(Payments=payments, Live=live, FunctionUrls=urls, Egress="none", **others)

    def test_few_alarms(self):
        for egress, payments in itertools.product(("nat-gateway", "nat-instance"), PAYMENTS):
            live = {"Live": "true", "Alarms": "essential", **given("AlarmEmail")}
            self.assert_sound(Egress=egress, Payments=payments, **live)

    def test_essential_alarms_are_about_ten_metrics_where_there_are_two_apps(self):
        stack = Stack(Live="true", Alarms="essential", Egress="nat-instance", **given("AlarmEmail"))
        asked = {name: alarm["Properties"].get("Metrics") for name, alarm in stack.of_type(ALARM).items()}
        self.assertEqual([name for name, metrics in asked.items() if metrics], ["TokenExpiringAlarm"])
        self.assertEqual(len(asked) - 1 + 2, 10)

    def test_what_is_there_already(self):
        for off in ("false", "true"):
            domain = given("DomainName", "CertificateArn")
            self.assert_sound(**domain, DisableExecuteApiEndpoint=off, Live="true", **given("AlarmEmail"))
        self.assert_sound(**given("WechatAppsSecretArn", "WechatPaySecretArn", "SealKeySecretArn"))
        for which in ("signing", "verifying"):
            self.assert_sound(PayNotifySecret=which)
            self.assert_sound(PayNotifySecret=which, **given("WechatPayVerifySecretArn", "SecretsKmsKeyArn"))
        self.assert_sound(**given("AlarmTopicArn"), Live="true")
        self.assert_sound(**given("KmsKeyArn", "SecretsKmsKeyArn"))
        self.assert_sound(**given("TableArn", "AlarmEmail"), Live="true", EgressScope="all")
        for egress in ("nat-gateway", "nat-instance"):
            self.assert_sound(**given("EipAllocationId", "EgressIps", "Zones"), Egress=egress)

    def test_what_is_asked_for(self):
        self.assert_sound(FunctionUrls="true", PublicReservedConcurrency=5)
        self.assert_sound("aws-cn", FunctionUrls="true", PublicReservedConcurrency=5)
        self.assert_sound(Tracing="true", TableStream="true", Architecture="x86_64")
        self.assert_sound(AlarmEmail="ops@example.com", Live="true", Payments="false")
        self.assert_sound(PublicReservedConcurrency=5, DirectReservedConcurrency=1, ConfigVersion="2", LogLevel="debug")


class Refusals(unittest.TestCase):
    """Parameters that CloudFormation refuses before it makes or changes anything."""

    def test_parameters_that_do_not_go_together(self):
        unheard = "Live needs AlarmEmail or AlarmTopicArn: an alarm has to reach a person."
        ceiling = "FunctionUrls needs PublicReservedConcurrency: URLs have no throttle, and no other ceiling."
        for parameters, refusals in [
            ({"Live": "true"}, [unheard]),
            ({"Live": "true", **given("AlarmEmail")}, []),
            ({"Live": "true", **given("AlarmTopicArn")}, []),
            ({"FunctionUrls": "true"}, [ceiling]),
            ({"FunctionUrls": "true", "PublicReservedConcurrency": 1}, []),
            ({"DisableExecuteApiEndpoint": "true"}, ["DisableExecuteApiEndpoint needs DomainName."]),
            ({"DisableExecuteApiEndpoint": "true", **given("DomainName", "CertificateArn")}, []),
            (given("DomainName"), ["DomainName needs CertificateArn."]),
            ({"Egress": "existing"}, ["Egress existing needs SubnetIds.", "Egress existing needs SecurityGroupIds."]),
            (given("EipAllocationId"), ["EipAllocationId needs the address in EgressIps."]),
        ]:
            with self.subTest(**parameters):
                self.assertEqual(list(Stack(**parameters).refusals()), refusals)


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

    def test_login_has_a_throttle_of_its_own(self):
        def settings(stack):
            return stack.properties("HttpApiStage")["RouteSettings"]["POST /login"]

        asked = Stack(LoginRate=7, LoginBurst=9)
        self.assertEqual(settings(asked), {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9})
        usual = Stack()
        others = usual.properties("HttpApiStage")["DefaultRouteSettings"]["ThrottlingRateLimit"]
        self.assertLess(settings(usual)["ThrottlingRateLimit"], others)

    def test_pay_notify_has_a_secret_without_the_private_key_when_told(self):
        def secret(stack):
            return self.variables(stack, "PayNotify")["WECHATPAY_SECRET_ARN"]

        self.assertEqual(secret(Stack()), {"Ref": "WechatPaySecret"})  # As it was before there was another one.
        self.assertEqual(secret(Stack(**given("WechatPaySecretArn"))), GIVEN["WechatPaySecretArn"])
        verifying = Stack(PayNotifySecret="verifying", **given("WechatPaySecretArn"))
        self.assertEqual(secret(verifying), {"Ref": "WechatPayVerifySecret"})
        verifying = Stack(PayNotifySecret="verifying", **given("WechatPayVerifySecretArn"))
        self.assertEqual(secret(verifying), GIVEN["WechatPayVerifySecretArn"])
        self.assertNotIn("WechatPayVerifySecret", verifying.resources)
        for name in ("CreateOrder", "OrderSweeper", "QueryOrder", "RefundOrder"):
            self.assertEqual(self.variables(verifying, name)["WECHATPAY_SECRET_ARN"], {"Ref": "WechatPaySecret"})

    def test_what_cannot_change_later_says_so(self):
        for name in ("VpcCidr", "Zones"):
            self.assertIn("It cannot change later.", source()["Parameters"][name]["Description"])

    def test_config_version_is_in_every_environment(self):
        stack = Stack(ConfigVersion="42")
        for name in names():
            self.assertEqual(self.variables(stack, pascal(name))["CONFIG_VERSION"], "42", name)

    def test_without_payments_the_sweeper_has_no_alarms(self):
        with_payments = Stack(Live="true").of_type("AWS::CloudWatch::Alarm").keys()
        without = Stack(Live="true", Payments="false").of_type("AWS::CloudWatch::Alarm").keys()
        self.assertIn("SweeperSilentAlarm", with_payments - without)
        self.assertIn("TokenExpiringAlarm", without)

    def test_orders_that_are_open_end_before_payments_do(self):
        draining = Stack(Live="true", Payments="draining", FunctionUrls="true")
        self.assertEqual(list(ways_in(draining, "create-order")), [])
        self.assertIn("PayNotifyRoute", set(ways_in(draining, "pay-notify")))
        self.assertIn("SweeperSilentAlarm", draining.resources)

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

    def test_tables_are_in_one_piece(self):
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("functions/*/README.md")]:
            for line in path.read_text(encoding="utf-8").splitlines():
                self.assertFalse("|---|" in line and line.strip(" |-:"), f"{path}: {line}")

    def test_every_parameter_is_described(self):
        text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
        missing = {name for name in source()["Parameters"] if not re.search(rf"\b{name}\b", text)}
        # What functions have as variables too is in README.md.
        self.assertEqual(missing, {"MaxOpenOrders", "OrderTtlSecs", "SessionTtlSecs", "WechatPayApiUrls"})


if __name__ == "__main__":
    unittest.main()
