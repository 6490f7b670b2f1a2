"""Who may come in: routes, function URLs, permissions."""

from project import names, pascal, public
from rules.policies import listed
from stack import target


def every_public_function_has_a_route(stack):
    routes = {route["Properties"]["RouteKey"]: route for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}
    for extra in routes.keys() - {f"POST /{name}" for name in public()}:
        yield f"{extra} is no public function"
    for name in public():
        route = routes.get(f"POST /{name}")
        if route is None:
            yield f"{name} has no route"
            continue
        integration = route["Properties"]["Target"].removeprefix("integrations/${").removesuffix("}")
        uri = stack.properties(integration)["IntegrationUri"]
        if f":function:${{{pascal(name)}Function}}/invocations" not in uri:
            yield f"POST /{name} leads to {uri}"
        if stack.properties(integration)["PayloadFormatVersion"] != "2.0":
            yield f"POST /{name} has another format"
        if not any(api_may_invoke(permission, name) for permission in permissions(stack, name)):
            yield f"API Gateway may not invoke {name}"


def permissions(stack, name):
    """Who may invoke a function."""
    found = (resource["Properties"] for resource in stack.of_type("AWS::Lambda::Permission").values())
    return [properties for properties in found if target(properties["FunctionName"]) == f"{pascal(name)}Function"]


def api_may_invoke(permission, name):
    arn = permission.get("SourceArn", "")
    is_route = arn.endswith(f":${{HttpApi}}/*/POST/{name}")
    return is_route and (permission["Principal"], permission["Action"]) == (
        "apigateway.amazonaws.com",
        "lambda:InvokeFunction",
    )


def nobody_else_may_invoke(stack):
    for name in names():
        for permission in permissions(stack, name):
            through_url = (
                permission.get("FunctionUrlAuthType") == "NONE" or permission.get("InvokedViaFunctionUrl") is True
            )
            may = name in public() and stack.holds("FunctionUrlsOn")
            if not api_may_invoke(permission, name) and not (through_url and may):
                yield f"{permission['Principal']} may invoke {name}"


def every_function_url_has_both_permissions(stack):
    urls = stack.of_type("AWS::Lambda::Url").values()
    targets = {target(url["Properties"]["TargetFunctionArn"]) for url in urls}
    expected = {f"{pascal(name)}Function.Arn" for name in public()} if stack.holds("FunctionUrlsOn") else set()
    if targets != expected:
        yield f"URLs of {sorted(targets)}"
    for name in public() if expected else []:
        found = {
            (p["Action"], p.get("FunctionUrlAuthType"), p.get("InvokedViaFunctionUrl"))
            for p in permissions(stack, name)
        }
        for needed in (
            ("lambda:InvokeFunctionUrl", "NONE", None),
            ("lambda:InvokeFunction", None, True),
        ):
            if needed not in found:
                yield f"{name}'s URL lacks the permission {needed[0]}"


def the_door_is_throttled_and_logs_no_content(stack):
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    if "CorsConfiguration" in api["Properties"]:
        yield "CORS is on"
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    properties = stage["Properties"]
    if properties["StageName"] != "$default" or not properties["AutoDeploy"]:
        yield "the stage is in the way of the routes"
    for what in (properties["DefaultRouteSettings"], properties["RouteSettings"]["POST /pay-notify"]):
        if not (what["ThrottlingRateLimit"] > 0 and what["ThrottlingBurstLimit"] > 0):
            yield "no throttle"
    if "PayNotifyRoute" not in listed(stage.get("DependsOn", [])):
        yield "the stage has settings of a route that may not be there yet"
    for leak in ("path", "query", "header", "body", "authorizer"):
        if leak in properties["AccessLogSettings"]["Format"].lower():
            yield f"the access log has {leak}"


def notifications_come_to_the_route(stack):
    domain = stack.values["DomainName"]
    suffix = f"execute-api.{stack.values['AWS::Region']}.{stack.values['AWS::URLSuffix']}"
    base = f"https://{domain}" if domain else f"https://${{HttpApi}}.{suffix}"
    for name in ("create-order", "refund-order"):
        url = stack.properties(f"{pascal(name)}Function")["Environment"]["Variables"]["PAY_NOTIFY_URL"]
        if url != f"{base}/pay-notify":
            yield f"{name} has notifications sent to {url}"
    if stack.outputs["ApiUrl"]["Value"] != base or stack.outputs["PayNotifyUrl"]["Value"] != f"{base}/pay-notify":
        yield "the outputs name another URL"
    if domain and stack.properties("HttpApiMapping")["Stage"] != {"Ref": "HttpApiStage"}:
        yield "the domain does not lead to the stage"
