"""Who may come in: routes, function URLs, permissions."""

import re

from project import names, pascal, public
from stack import target

# What is in the access log: no path, which may have anything in it, no query, no header, no body.
LOGGED = {
    "error.responseType",
    "identity.sourceIp",
    "integration.latency",
    "integration.status",
    "requestId",
    "requestTime",
    "responseLatency",
    "responseLength",
    "routeKey",
    "status",
}


def is_open(stack, name):
    """Whether callers may reach a public function: `create-order` only where orders are taken."""
    return name != "create-order" or stack.values["Payments"] == "true"


def every_public_function_has_a_route(stack):
    routes = {route["Properties"]["RouteKey"]: route for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}
    served = [name for name in public() if is_open(stack, name)]
    for extra in routes.keys() - {f"POST /{name}" for name in served}:
        yield f"{extra} is no public function"
    for name in served:
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
        if route["Properties"].get("AuthorizationType", "NONE") != "NONE":
            yield f"POST /{name} asks for a signature of AWS"
        timeout = stack.properties(f"{pascal(name)}Function")["Timeout"]
        if stack.properties(integration).get("TimeoutInMillis", 30_000) < timeout * 1000:
            yield f"POST /{name} ends before its function"
        if not any(api_may_invoke(permission, name) for permission in permissions(stack, name)):
            yield f"API Gateway may not invoke {name}"


def invoked(permission):
    """Whom a permission is about: by name, by ARN, or by a reference to either."""
    named = str(target(permission["FunctionName"]))
    for name in names():
        if named in (f"{pascal(name)}Function", f"{pascal(name)}Function.Arn") or re.search(rf"\bprod-{name}$", named):
            return name
    return None


def permissions(stack, name):
    """Who may invoke a function."""
    found = (resource["Properties"] for resource in stack.of_type("AWS::Lambda::Permission").values())
    return [properties for properties in found if invoked(properties) == name]


def api_may_invoke(permission, name):
    arn = permission.get("SourceArn", "")
    is_route = arn.endswith(f":${{HttpApi}}/*/POST/{name}")
    return is_route and (permission["Principal"], permission["Action"]) == (
        "apigateway.amazonaws.com",
        "lambda:InvokeFunction",
    )


def by_url(permission):
    """The two permissions of a function URL, and nothing that only looks like one."""
    shape = {key: value for key, value in permission.items() if key != "FunctionName"}
    return shape in (
        {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE", "Principal": "*"},
        {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True, "Principal": "*"},
    )


def nobody_else_may_invoke(stack):
    urls = {name for name in public() if is_open(stack, name)} if stack.holds("FunctionUrlsOn") else set()
    for logical_id, resource in stack.of_type("AWS::Lambda::Permission").items():
        permission = resource["Properties"]
        name = invoked(permission)
        if not api_may_invoke(permission, name) and not (by_url(permission) and name in urls):
            yield f"{permission['Principal']} may invoke {name} by {logical_id}"


def every_function_url_has_both_permissions(stack):
    urls = stack.of_type("AWS::Lambda::Url").values()
    targets = {target(url["Properties"]["TargetFunctionArn"]) for url in urls}
    served = [name for name in public() if is_open(stack, name)] if stack.holds("FunctionUrlsOn") else []
    if targets != {f"{pascal(name)}Function.Arn" for name in served}:
        yield f"URLs of {sorted(targets)}"
    if any(url["Properties"]["AuthType"] != "NONE" for url in urls):
        yield "a URL that asks for a signature of AWS"
    for name in served:
        found = {permission["Action"] for permission in permissions(stack, name) if by_url(permission)}
        for missing in {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} - found:
            yield f"{name}'s URL lacks the permission {missing}"


def the_door_is_throttled_and_logs_no_content(stack):
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    if "CorsConfiguration" in api["Properties"]:
        yield "CORS is on"
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    properties = stage["Properties"]
    if properties["StageName"] != "$default" or not properties["AutoDeploy"]:
        yield "the stage is in the way of the routes"
    settings = properties["RouteSettings"]
    throttles = {"other routes": properties["DefaultRouteSettings"]}
    throttles |= {f"POST /{name}": settings.get(f"POST /{name}", {}) for name in ("login", "pay-notify")}
    for what, limits in throttles.items():
        if not (limits.get("ThrottlingRateLimit", 0) > 0 and limits.get("ThrottlingBurstLimit", 0) > 0):
            yield f"{what}: no throttle"
    # That of create-order comes by AutoDeploy: nothing may depend on what a condition can leave out.
    if set(stage.get("DependsOn", [])) != stack.of_type("AWS::ApiGatewayV2::Route").keys() - {"CreateOrderRoute"}:
        yield "the stage may be there before its routes"
    for logged in re.findall(r"\$context\.([\w.]+)", properties["AccessLogSettings"]["Format"]):
        if logged not in LOGGED:
            yield f"the access log has {logged}"


def function_urls_have_a_ceiling(stack):
    """They have no throttle, so that what one runs at once is all that bounds it; the parameters may be refused."""
    for url in stack.of_type("AWS::Lambda::Url").values():
        function = target(url["Properties"]["TargetFunctionArn"]).removesuffix(".Arn")
        limit = stack.properties(function).get("ReservedConcurrentExecutions", 0)
        if not limit > 0 and not list(stack.refusals()):
            yield f"{function} has a URL and no ceiling"


def the_other_address_is_off_where_there_is_a_domain_alone(stack):
    (api,) = stack.of_type("AWS::ApiGatewayV2::Api").values()
    is_off = api["Properties"].get("DisableExecuteApiEndpoint", False)
    if is_off != (stack.values["DisableExecuteApiEndpoint"] == "true"):
        yield f"API Gateway's own address is {'off' if is_off else 'on'}"
    if is_off and not stack.values["DomainName"] and not list(stack.refusals()):
        yield "no address leads to the API"


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
