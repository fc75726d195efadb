variable "environment" { type = string }

resource "terraform_data" "base" { input = var.environment }

output "environment" { value = terraform_data.base.output }
