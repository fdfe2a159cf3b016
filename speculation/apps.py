"""The application: after every migration, the groups of the roles are what roles.py says."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from speculation.role_groups import keep_roles


class SpeculationConfig(AppConfig):
    name = "speculation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(keep_roles, sender=self, dispatch_uid="speculation.roles")
