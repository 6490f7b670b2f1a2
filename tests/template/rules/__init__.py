"""What has to hold of every deployment: each rule takes a `Stack` and yields what is wrong with it, in words."""

from rules import data, door, functions, network, operations, payments, policies, ready

RULES = [
    functions.functions_are_those_of_the_folders,
    functions.every_function_has_a_log_group_with_a_retention,
    policies.nobody_may_do_anything_to_everything,
    policies.roles_are_for_one_service,
    policies.the_vpc_is_for_lambda_and_not_for_the_code,
    policies.every_function_has_a_role_of_its_own,
    policies.every_function_may_write_its_own_log,
    policies.table_statements_name_partitions,
    policies.keys_are_used_through_services_only,
    functions.functions_get_what_they_use,
    door.every_public_function_has_a_route,
    door.nobody_else_may_invoke,
    door.every_function_url_has_both_permissions,
    door.the_door_is_throttled_and_logs_no_content,
    door.function_urls_have_a_ceiling,
    door.the_other_address_is_off_where_there_is_a_domain_alone,
    door.notifications_come_to_the_route,
    operations.schedules_send_an_empty_object,
    operations.no_scheduled_run_is_lost_or_repeated,
    payments.orders_are_taken_only_where_they_are_swept,
    network.the_right_functions_go_out_by_the_fixed_address,
    network.private_subnets_go_out_by_the_nat_alone,
    network.the_nat_has_the_address,
    ready.everything_can_be_made_in_some_order,
    ready.functions_enter_the_vpc_when_there_is_a_way_out,
    ready.the_nat_instance_is_ready_when_it_forwards,
    ready.a_nat_instance_that_is_stopped_raises_its_alarm,
    data.data_outlives_everything,
    data.the_table_is_the_contracts,
    data.secrets_are_empty_but_for_the_seal_key,
    operations.every_alarm_of_the_runbook_is_there,
    operations.every_alarm_reaches_a_person,
    operations.every_alarm_is_about_this_stack,
    operations.a_live_stack_is_heard,
    operations.the_dashboard_is_of_one_region,
    operations.nothing_is_of_one_partition,
]


def problems(stack):
    """What is wrong with a deployment."""
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(stack)]
