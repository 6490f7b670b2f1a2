"""Templates that somebody might write: each is found out, and for its own reason."""

import copy
import unittest

import rules
from stack import Stack, source

ANYBODY = {"Action": "lambda:InvokeFunction", "Principal": "*"}


def statement(resources, role, sid):
    """A statement of a role."""
    own = resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return next(statement for statement in own if statement.get("Sid") == sid)


def policy(*statements):
    """A document with these statements."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


class Broken(unittest.TestCase):
    def assert_found(self, *problems, change, **parameters):
        """All that is found are these problems, as far as they are told."""
        template = copy.deepcopy(source())
        change(template["Resources"])
        found = rules.problems(Stack(template, **parameters))
        self.assertTrue(found, "not found")
        for text in found:
            self.assertTrue(any(problem in text for problem in problems), f"for another reason: {text}")
        for problem in problems:
            self.assertTrue(any(problem in text for text in found), f"not found: {problem}")

    def assert_found_without(self, path, *problems, **parameters):
        """What a path leads to is taken away."""

        def change(resources):
            *way, last = path.split("/")
            for part in way:
                resources = resources[part]
            del resources[last]

        self.assert_found(*problems, change=change, **parameters)

    def assert_found_with(self, path, value, *problems, **parameters):
        """What a path leads to is another value."""

        def change(resources):
            *way, last = path.split("/")
            for part in way:
                resources = resources[part]
            resources[last] = value

        self.assert_found(*problems, change=change, **parameters)

    def assert_found_in(self, role, sid, key, value, *problems, **parameters):
        """A statement of a role says something else."""
        self.assert_found(*problems, change=lambda r: statement(r, role, sid).update({key: value}), **parameters)

    def test_wildcards(self):
        self.assert_found_in("LogoutRole", "Authenticate", "Action", "dynamodb:*", "LogoutRole may do dynamodb:*")
        self.assert_found_in(
            "LoginRole", "ReadSecrets", "Resource", "*", "LoginRole may do it to *", "LoginFunction asks for"
        )
        joined = {"Fn::Join": ["", ["arn:aws:dynamodb:::", "*"]]}
        self.assert_found_in("LogoutRole", "Authenticate", "Resource", joined, "LogoutRole may")
        keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["?*"]}}
        self.assert_found_in(
            "LogoutRole", "Authenticate", "Condition", keys, "LogoutRole may do ['dynamodb:GetItem'] to"
        )
        self.assert_found_in("LogoutRole", "Authenticate", "Condition", {}, "LogoutRole may do ['dynamodb:GetItem'] to")

    def test_actions_that_no_function_needs(self):
        for action in ("iam:PassRole", "s3:GetObject", "dynamodb:Scan", "dynamodb:DeleteTable"):
            actions = ["dynamodb:GetItem", action]
            self.assert_found_in("LogoutRole", "Authenticate", "Action", actions, f"LogoutRole may do {action}")

    def test_policies_beside_the_roles(self):
        def change(resources):
            secret = {"Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": "WechatPaySecret"}}
            properties = {"PolicyName": "more", "PolicyDocument": policy(secret), "Roles": [{"Ref": "LogoutRole"}]}
            resources["More"] = {"Type": "AWS::IAM::Policy", "Properties": properties}

        self.assert_found("LogoutFunction asks for [] and may read", change=change)

    def test_policies_of_resources(self):
        everybody = policy({"Principal": "*", "Action": "dynamodb:GetItem", "Resource": "*"})
        self.assert_found_with(
            "Table/Properties/ResourcePolicy",
            {"PolicyDocument": everybody},
            "Table may do it to *",
            "Table lets everybody",
        )

    def test_managed_policies(self):
        for name in ("iam::aws:policy/AmazonDynamoDBFullAccess", "iam::999999999999:policy/AWSXRayDaemonWriteAccess"):
            arns = [{"Fn::Sub": f"arn:${{AWS::Partition}}:{name}"}]
            self.assert_found_with("LogoutRole/Properties/ManagedPolicyArns", arns, f"LogoutRole has arn:aws:{name}")

    def test_a_vpc_policy_that_gives_more(self):
        arns = [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"}]
        self.assert_found_with(
            "TokenRefresherRole/Properties/ManagedPolicyArns",
            arns,
            "TokenRefresherRole has arn:aws:iam",
            "token-refresher's role does not go with",
        )
        path = "VpcPolicy/Properties/PolicyDocument/Statement"
        lambdas, codes = source()["Resources"]["VpcPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assert_found_with(path, [lambdas], "VpcPolicy has another Deny for")
        self.assert_found_with(path, [lambdas, {**codes, "Condition": {}}], "VpcPolicy has a Deny for {}")
        some = [*codes["Action"][1:]]
        self.assert_found_with(path, [lambdas, {**codes, "Action": some}], "VpcPolicy has another Deny for ['ec2:")
        arn = {"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:prod-login"}}
        self.assert_found_with(path, [lambdas, {**codes, "Condition": arn}], "VpcPolicy has a Deny for {'ArnLike")
        more = [*lambdas["Action"], "logs:PutLogEvents"]
        self.assert_found_with(path, [{**lambdas, "Action": more}, codes], "another Allow for ['logs:PutLogEvents']")
        self.assert_found_with("VpcPolicy/Properties/Roles", [{"Ref": "LogoutRole"}], "VpcPolicy names Roles")

    def test_denials(self):
        self.assert_found_in("LogoutRole", "Authenticate", "Effect", "Deny", "LogoutRole has the effect Deny")

    def test_roles_for_others(self):
        trust = policy({"Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
        self.assert_found_with(
            "LogoutRole/Properties/AssumeRolePolicyDocument", trust, "LogoutRole is for {'AWS': '*'}"
        )
        trust = policy({"Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}})
        self.assert_found_with(
            "SchedulerRole/Properties/AssumeRolePolicyDocument", trust, "schedules of other accounts"
        )
        role = {"Fn::GetAtt": ["LoginRole", "Arn"]}
        self.assert_found_with("LogoutFunction/Properties/Role", role, "LogoutFunction has not the role LogoutRole")

    def test_roles_that_lack_something(self):
        self.assert_found_in("LoginRole", "Log", "Action", ["logs:CreateLogStream"], "LoginRole may not write the log")
        group = {"Fn::GetAtt": ["LogoutLogGroup", "Arn"]}
        self.assert_found_in("LoginRole", "Log", "Resource", group, "LoginRole may not write the log")
        secret = {"Ref": "SealKeySecret"}
        self.assert_found_in("LoginRole", "ReadSecrets", "Resource", secret, "LoginFunction asks for")
        document = policy({"Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["DeadLetters", "Arn"]}})
        policies = [{"PolicyName": "own", "PolicyDocument": document}]
        self.assert_found_with("SchedulerRole/Properties/Policies", policies, "SchedulerRole may not invoke")

    def test_a_customers_key_that_is_used_by_itself(self):
        path = "KmsKeyPolicy/Properties/PolicyDocument"
        key = policy({"Action": "kms:Decrypt", "Resource": {"Ref": "KmsKeyArn"}})
        arn = "arn:aws:kms:us-east-1:123456789012:key/1"
        self.assert_found_with(path, key, "KmsKeyPolicy may use the key by itself", KmsKeyArn=arn)

    def test_a_function_without_a_route(self):
        early = ("the stage may be there before its routes", "HttpApiStage waits for CardExtRoute, which is not there")
        self.assert_found_without("CardExtRoute", "card-ext has no route", *early)

    def test_a_route_to_staffs_function(self):
        def change(resources):
            resources["RefundOrderRoute"] = copy.deepcopy(resources["LoginRoute"])
            resources["RefundOrderRoute"]["Properties"]["RouteKey"] = "POST /refund-order"

        self.assert_found("POST /refund-order is no public function", "the stage may be there", change=change)

    def test_routes_that_do_not_work(self):
        path = "LoginRoute/Properties/AuthorizationType"
        self.assert_found_with(path, "AWS_IAM", "POST /login asks for a signature of AWS")
        path = "LoginIntegration/Properties/TimeoutInMillis"
        self.assert_found_with(path, 1000, "POST /login ends before its function")
        self.assert_found_with(
            "PayNotifyFunction/Properties/Timeout", 60, "PayNotifyFunction has 60 s", "POST /pay-notify ends"
        )
        self.assert_found_without("LoginPermission", "API Gateway may not invoke login")

    def test_functions_that_everybody_may_invoke(self):
        for named in (
            {"Ref": "RefundOrderFunction"},
            {"Fn::GetAtt": ["RefundOrderFunction", "Arn"]},
            "prod-refund-order",
        ):
            open_to_all = {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": named, **ANYBODY}}
            self.assert_found_with("Open", open_to_all, "* may invoke refund-order by Open")
        by_url = {"FunctionName": {"Ref": "RefundOrderFunction"}, "InvokedViaFunctionUrl": True, **ANYBODY}
        by_url = {"Type": "AWS::Lambda::Permission", "Properties": by_url}
        self.assert_found_with("Open", by_url, "* may invoke refund-order by Open", FunctionUrls="true")

    def test_a_function_url_with_one_permission(self):
        lacks = "login's URL lacks the permission lambda:"
        self.assert_found_without("LoginUrlPermission", lacks + "InvokeFunctionUrl", FunctionUrls="true")
        self.assert_found_without("LoginUrlInvokePermission", lacks + "InvokeFunction", FunctionUrls="true")
        path = "LoginUrl/Properties/AuthType"
        self.assert_found_with(path, "AWS_IAM", "a URL that asks for a signature of AWS", FunctionUrls="true")

    def test_a_door_without_a_throttle(self):
        def change(resources):
            del resources["HttpApiStage"]["Properties"]["RouteSettings"]["POST /login"]

        self.assert_found("POST /login: no throttle", change=change)
        self.assert_found_without("HttpApiStage/Properties/DefaultRouteSettings/ThrottlingBurstLimit", "other routes:")

    def test_parameters_that_no_rule_refuses(self):
        for rule, problem, parameters in [
            ("LiveNeedsAlarmAddress", "there are alarms, and they reach no person", {"Live": "true"}),
            ("FunctionUrlsNeedCeiling", "LoginFunction has a URL and no ceiling", {"FunctionUrls": "true"}),
            (
                "DisableExecuteApiEndpointNeedsDomain",
                "no address leads to the API",
                {"DisableExecuteApiEndpoint": "true"},
            ),
        ]:
            template = copy.deepcopy(source())
            del template["Rules"][rule]
            found = rules.problems(Stack(template, **parameters))
            self.assertTrue(any(problem in text for text in found), f"{rule}: {found}")

    def test_a_dashboard_of_two_stacks(self):
        name = {"Ref": "AWS::StackName"}
        self.assert_found_with("Dashboard/Properties/DashboardName", name, "Dashboard is called prod in every region")

    def test_an_access_log_with_what_clients_send(self):
        path = "HttpApiStage/Properties/AccessLogSettings/Format"
        for leak in ("path", "identity.userAgent", "authorizer.claims"):
            self.assert_found_with(path, f'{{"x":"$context.{leak}"}}', f"the access log has {leak}")

    def test_a_table_that_can_be_lost(self):
        table = "Table/Properties"
        self.assert_found_without(f"{table}/DeletionProtectionEnabled", "the table has no deletion protection")
        self.assert_found_with(f"{table}/DeletionProtectionEnabled", False, "the table has no deletion protection")
        self.assert_found_without(f"{table}/PointInTimeRecoverySpecification", "no point-in-time recovery")
        self.assert_found_without("Table/DeletionPolicy", "Table is deleted with the stack")
        self.assert_found_without("SealKeySecret/UpdateReplacePolicy", "SealKeySecret is deleted with the stack")
        self.assert_found_without("NatGatewayIp/DeletionPolicy", "NatGatewayIp is deleted with the stack")

    def test_what_a_deployment_that_failed_leaves_behind(self):
        for name in ("SealKeySecret", "NatGatewayIp"):
            self.assert_found_with(f"{name}/DeletionPolicy", "Retain", f"{name} is left behind by a deployment that")
        path = "Table/DeletionPolicy"
        self.assert_found_with(path, "RetainExceptOnCreate", "Table stops the rollback of a deployment that failed")
        self.assert_found_with("LoginLogGroup/DeletionPolicy", "Retain", "LoginLogGroup is left behind by the stack")

    def test_secrets_in_the_wrong_place(self):
        path = "UserInfoFunction/Properties/Environment/Variables/SEAL_KEY"
        self.assert_found_with(path, "x" * 43, "UserInfoFunction has the secret SEAL_KEY in plain text")
        self.assert_found_with("WechatPaySecret/Properties/SecretString", "{}", "WechatPaySecret has its text")
        path = "SealKeySecret/Properties/GenerateSecretString/ExcludePunctuation"
        self.assert_found_with(path, False, "the seal key is short, or may have a comma")

    def test_logs_that_are_kept_for_good(self):
        self.assert_found_without("LoginLogGroup/Properties/RetentionInDays", "LoginLogGroup keeps logs for good")
        self.assert_found_without("LoginFunction/Properties/LoggingConfig", "LoginFunction has no log group")

    def test_schedules(self):
        path = "TokenRefresherSchedule/Properties/Target/Input"
        self.assert_found_with(path, "", "token-refresher is not run every minute with an empty object")
        path = "OrderSweeperFailures/Properties/MaximumRetryAttempts"
        self.assert_found_with(path, 2, "a run of order-sweeper that failed is repeated, or lost")

    def test_orders_that_are_taken_and_not_swept(self):
        path = "OrderSweeperSchedule/Properties/State"
        live = {"Fn::If": ["IsLiveWithPayments", "ENABLED", "DISABLED"]}
        self.assert_found_with(path, live, "orders are not swept", "schedule of order-sweeper is DISABLED")
        taken = {
            "CreateOrderRoute": ["POST /create-order is no public function", "waits for CreateOrderIntegration"],
            "CreateOrderPermission": [],
            "CreateOrderUrl": ["URLs of"],
        }
        for name, also in taken.items():
            problem = f"with Payments=draining, orders are taken by ['{name}']"
            self.assert_found_without(f"{name}/Condition", problem, *also, FunctionUrls="true", Payments="draining")
        self.assert_found_without("CreateOrderRoute/DependsOn", "CreateOrderRoute is there before the sweep")

    def test_ways_out(self):
        path = "TokenRefresherFunction/Properties/VpcConfig"
        self.assert_found_without(path, "token-refresher is not in the VPC")
        route = {"RouteTableId": {"Ref": "PrivateRouteTable"}, "GatewayId": {"Ref": "InternetGateway"}}
        route = {"Type": "AWS::EC2::Route", "Properties": {"DestinationCidrBlock": "0.0.0.0/1", **route}}
        self.assert_found_with("Another", route, "there is another way out")
        path = "NatInstanceHost/Properties/SourceDestCheck"
        self.assert_found_with(path, True, "the NAT instance drops what it is to forward", Egress="nat-instance")
        path = "NatInstanceIpAssociation/Properties/InstanceId"
        self.assert_found_with(path, "i-1", "the address is on another instance", Egress="nat-instance")

    def test_what_waits_for_itself_or_for_nothing(self):
        path = "NatInstanceSecurityGroup/DependsOn"
        self.assert_found_with(path, "FunctionSecurityGroup", "these wait for each other", Egress="nat-instance")
        path = "LoginFunction/DependsOn"
        self.assert_found_with(
            path, "PrivateRoute", "LoginFunction waits for PrivateRoute, which is not", Egress="none"
        )

    def test_functions_before_the_way_out(self):
        path = "FunctionSecurityGroup/DependsOn"
        missing = "token-refresher enters the VPC before there is"
        self.assert_found_with(path, ["PrivateRoute", "PrivateSubnetARoutes"], f"{missing} PrivateSubnetBRoutes")
        others = ["PrivateSubnetARoutes", "PrivateSubnetBRoutes"]
        self.assert_found_with(path, others, f"{missing} PrivateRoute", f"{missing} Nat")
        self.assert_found_without(
            "Nat/DependsOn", "Nat is made before there is", EipAllocationId="eipalloc-1", EgressIps="1"
        )
        path = "PrivateRoute/Properties/InstanceId"
        host = {"Fn::If": ["NatInstance", {"Ref": "NatInstanceHost"}, {"Ref": "AWS::NoValue"}]}
        self.assert_found_with(
            path,
            host,
            "functions go out by the NAT instance before it has the address",
            "token-refresher enters the VPC before there is NatInstanceIpAssociation",
            Egress="nat-instance",
        )

    def test_a_nat_instance_that_only_runs(self):
        path = "NatInstanceHost/CreationPolicy"
        self.assert_found_without(path, "the NAT instance counts as ready at once", Egress="nat-instance")
        path = "NatInstanceAlarm/Properties/TreatMissingData"
        stopped = "no alarm tells of a NAT instance that is stopped"
        self.assert_found_with(path, "missing", stopped, Egress="nat-instance", Live="true")
        path = "NatInstanceTemplate/Properties/LaunchTemplateData/UserData/Fn::Base64/Fn::Sub"
        good = source()["Resources"]["NatInstanceTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]
        trap = next(line for line in good["Fn::Base64"]["Fn::Sub"].splitlines() if line.startswith("trap"))
        script = good["Fn::Base64"]["Fn::Sub"].replace(trap + "\n", "") + trap + "\n"
        self.assert_found_with(path, script, "does not say that it could not be set up", Egress="nat-instance")

    def test_alarms(self):
        def change(resources):
            resources["NewAlarm"] = copy.deepcopy(resources["StuckAlarm"])

        self.assert_found("NewAlarm is there", "NewAlarm does not say where to read on", change=change, Live="true")
        for name in ("PaymentQuarantinedAlarm", "FaultAlarm", "TokenExpiringAlarm"):
            self.assert_found_without(name, f"{name} is missing", Live="true")
        path = "StuckAlarm/Properties/MetricName"
        self.assert_found_with(path, "Sticky", "StuckAlarm is about Sticky, which nobody writes", Live="true")
        self.assert_found_with("StuckAlarm/Properties/AlarmActions", [], "nobody hears of StuckAlarm", Live="true")
        for name in ("TokenExpiringAlarm", "RefreshFailedAlarm"):
            found = f"{name} does not ask about each app of this stack"
            self.assert_found_with(f"{name}/Properties/Metrics", [], found, Live="true")
            of_all = [{"Id": "x", "Period": 60, "Expression": 'SELECT MIN(TokenSecondsLeft) FROM "WechatFunctions/x"'}]
            self.assert_found_with(f"{name}/Properties/Metrics", of_all, found, Live="true")
            path = f"{name}/Properties/TreatMissingData"
            self.assert_found_with(path, "breaching", f"{name} sounds for an app that is gone", Live="true")
        path = "DeadLettersAlarm/Properties/Dimensions"
        self.assert_found_with(
            path, [{"Name": "QueueName", "Value": "x"}], "DeadLettersAlarm is about ['x']", Live="true"
        )

    def test_one_partition(self):
        host = "dynamodb.us-east-1.amazonaws.com"
        path = "LogoutFunction/Properties/Environment"
        self.assert_found_with(
            path,
            {"Variables": {"AWS_ENDPOINT_URL_DYNAMODB": host}},
            "LogoutFunction names a host of the partition aws",
            partition="aws-cn",
        )


if __name__ == "__main__":
    unittest.main()
