# Storage that anybody can read is refused: training data and models live there.

# METADATA
# title: Storage
# custom:
#   kinds: [infrastructure]
package vishwa.storage

import data.vishwa.terraform

# METADATA
# title: Public storage
# description: Buckets, containers and accounts stay closed to the public.
# custom:
#   id: terraform/public-storage
deny contains {
	"rule": "terraform/public-storage",
	"message": sprintf("%s %s", [r.address, why]),
	"hint": "keep it private, and give access to named members",
} if {
	some r in terraform.made
	some why in open_to_all(r.type, r.change.after)
}

open_to_all(type, after) := (aws(type, after) | google(type, after)) | azure(type, after)

aws(type, after) := {"has a public ACL" |
	type in {"aws_s3_bucket_acl", "aws_s3_bucket", "aws_s3_object"}
	regex.match(`^(public-|authenticated-read$)`, text(after, "acl"))
} | {sprintf("turns %s off", [field]) |
	type in {"aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"}
	some field in {"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"}
	object.get(after, field, false) == false
} | {"has a bucket policy that lets in everybody" |
	type == "aws_s3_bucket_policy"
	json.is_valid(text(after, "policy"))
	some s in statements(json.unmarshal(text(after, "policy")))
	lower(object.get(s, "Effect", "")) == "allow"
	lets_in_anybody(s)
}

google(type, after) := {"has a public ACL" |
	type in {"google_storage_bucket_acl", "google_storage_object_acl", "google_storage_default_object_acl"}
	startswith(text(after, "predefined_acl"), "public")
} | {"lets in everybody (allUsers or allAuthenticatedUsers)" |
	regex.match(`^google_storage_.*(access_control|acl)$`, type)
	walk([object.get(after, "entity", ""), object.get(after, "role_entity", [])], [_, entity])
	is_string(entity)
	regex.match(`(^|:)(allUsers|allAuthenticatedUsers)$`, entity)
}

azure(type, after) := {"lets containers be made public" |
	type == "azurerm_storage_account"
	some field in {"allow_nested_items_to_be_public", "allow_blob_public_access"}
	object.get(after, field, false) == true
} | {"is a container that anybody can read" |
	type == "azurerm_storage_container"
	text(after, "container_access_type") in {"blob", "container"}
}

# A field's text; a field that is absent, null or no text is "".
text(after, field) := value if {
	value := object.get(after, field, "")
	is_string(value)
}

text(after, field) := "" if not is_string(object.get(after, field, ""))

lets_in_anybody(s) if {
	some path in [["Principal"], ["Principal", "AWS"]]
	anybody(object.get(s, path, ""))
}

lets_in_anybody(s) if s.NotPrincipal # everybody but some

statements(policy) := policy.Statement if is_array(policy.Statement)

statements(policy) := [policy.Statement] if is_object(policy.Statement)

statements(policy) := [] if not policy.Statement

anybody("*")

anybody(principals) if "*" in principals
