# Tests of terraform.rego, access.rego and storage.rego.
package vishwa.terraform_test

about(plan) := {
	"phase": "act", "step": {"kind": "infrastructure", "do": "make", "pending": false},
	"terraform": plan, "allowDestroy": false,
}

planned(type, actions, after) := about({
	"format_version": "1.2", "complete": true, "errored": false,
	"resource_changes": [{"address": "x.y", "type": type, "change": {"actions": actions, "after": after, "after_unknown": {}}}],
})

denied(doc) := ids if {
	found := rules with input as doc
	ids := {f.rule | some f in found}
}

rules := (data.vishwa.terraform.deny | data.vishwa.access.deny) | data.vishwa.storage.deny

made(type, after) := denied(planned(type, ["create"], after))

allow(statement) := {"policy": json.marshal({"Statement": [object.union({"Effect": "Allow"}, statement)]})}

test_create if made("terraform_data", {}) == set()

test_no_plan if denied(about(null)) == {"policy/evidence"}

test_retired_without_plan if {
	denied(object.union(about(null), {"phase": "plan", "step": {"do": "retire"}})) == {"policy/evidence"}
}

tested(result) := denied(object.union(about({"format_version": "1.2", "resource_changes": []}), {"step": {"tests": result}}))

warned(result) := {f.message | some f in found} if {
	found := data.vishwa.terraform.warn with input as object.union(about({"format_version": "1.2", "resource_changes": []}), {"step": {"tests": result}})
}

test_tests_that_were_not_run if {
	result := {"passed": 0, "failed": 0, "skipped": 0, "failures": [], "notRun": "this machine offers no isolation"}
	tested(result) == set()
	warned(result) == {"the module's tests were not run: this machine offers no isolation"}
}

test_tests_of_which_none_passed if {
	every skipped in [0, 3] {
		warned({"passed": 0, "failed": 0, "skipped": skipped, "failures": []}) == {"the module has files of tests, and no test of them passed or failed"}
	}
	warned({"passed": 1, "failed": 0, "skipped": 2, "failures": []}) == set()
	warned({"passed": 0, "failed": 1, "skipped": 2, "failures": []}) == set()
}

test_tests if {
	tested({"passed": 2, "failed": 0, "skipped": 0, "failures": []}) == set()
	tested({"passed": 1, "failed": 1, "skipped": 0, "failures": ["a.tftest.hcl:4: run \"size\": too small"]}) == {"terraform/test"}
	tested({"passed": 1, "failed": 1, "skipped": 0, "failures": []}) == {"terraform/test"}
}

test_flaws if {
	denied(about({"format_version": "1.2", "errored": true, "resource_changes": []})) == {"terraform/plan"}
	denied(about({"format_version": "1.2", "complete": false, "resource_changes": []})) == {"terraform/plan"}
	denied(about({"format_version": "9.0", "resource_changes": []})) == {"terraform/plan"}
	denied(about({"format_version": "1.2", "resource_changes": null})) == {"terraform/plan"}
	denied(planned("x", null, {})) == {"terraform/plan"}
}

test_destroy if denied(planned("x", ["delete"], null)) == {"terraform/destroy"}

test_destroy_allowed if {
	denied(object.union(planned("x", ["delete"], null), {"allowDestroy": true})) == set()
}

test_aws if {
	made("aws_iam_policy", allow({"Action": "*", "Resource": "arn:aws:s3:::b"})) == {"terraform/iam"}
	made("aws_iam_policy", allow({"NotAction": "iam:x", "Resource": "arn:aws:s3:::b"})) == {"terraform/iam"}
	made("aws_iam_policy", {"policy": "{ no json"}) == {"terraform/iam"}
	made("aws_iam_policy", allow({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b"})) == set()
	made("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}) == {"terraform/iam"}
	made("aws_s3_bucket_acl", {"acl": "public-read"}) == {"terraform/public-storage"}
	made("aws_s3_bucket_public_access_block", {}) == {"terraform/public-storage"}
	made("aws_s3_bucket_policy", allow({"Principal": "*"})) == {"terraform/public-storage"}
	made("aws_s3_bucket_policy", {"policy": json.marshal({"Statement": {"Effect": "Allow", "Principal": {"AWS": ["*"]}}})}) == {"terraform/public-storage"}
	made("aws_s3_bucket_policy", allow({"NotPrincipal": {"AWS": "arn:aws:iam::1:root"}})) == {"terraform/public-storage"}
	made("aws_s3_bucket_policy", allow({"Effect": "allow", "Principal": "*"})) == {"terraform/public-storage"}
	made("aws_s3_bucket_policy", allow({"Effect": "Deny", "Principal": "*"})) == set()
	made("aws_s3_bucket_policy", {"policy": "{}"}) == set()
}

test_aws_unknown_policy if {
	doc := about({
		"format_version": "1.2",
		"resource_changes": [{"address": "x.y", "type": "aws_iam_policy", "change": {"actions": ["create"], "after": {}, "after_unknown": {"policy": true}}}],
	})
	count(data.vishwa.access.warn) == 1 with input as doc
}

test_google if {
	made("google_x_iam_member", {"member": "allUsers", "role": "r"}) == {"terraform/iam"}
	made("google_project_iam_binding", {"members": ["user:a"], "role": "roles/owner"}) == {"terraform/iam"}
	made("google_storage_bucket_acl", {"predefined_acl": "publicRead"}) == {"terraform/public-storage"}
	made("google_storage_bucket_access_control", {"entity": "allUsers"}) == {"terraform/public-storage"}
}

test_azure if {
	made("azurerm_role_assignment", {"role_definition_name": "Owner", "scope": "/subscriptions/s"}) == {"terraform/iam"}
	made("azurerm_role_definition", {"permissions": [{"actions": ["*"]}]}) == {"terraform/iam"}
	made("azurerm_storage_account", {"allow_nested_items_to_be_public": true}) == {"terraform/public-storage"}
	made("azurerm_storage_container", {"container_access_type": "blob"}) == {"terraform/public-storage"}
	made("azurerm_storage_container", {"container_access_type": null}) == set()
}
