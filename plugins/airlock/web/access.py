"""Who may do what, decided by Airflow's own sign-in and permissions."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends

DAG_ID = "import_model"
REVALIDATE_DAG_ID = "revalidate_models"

#: Whoever may read the runs of `import_model` may read what they made.
may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=DAG_ID))
#: Whoever may start runs of `import_model` may change what they made.
may_change = Depends(requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=DAG_ID))


def changes_allowed(user: GetUserDep) -> bool:
    """Whether a page offers changes to its user. Routes that change something ask again, by `may_change`."""
    details = DagDetails(id=DAG_ID)
    return bool(
        get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
        )
    )


def actor_of(user: GetUserDep) -> str:
    """The user's name, as Airflow gives it to runs that they start."""
    return str(user.get_name())


ChangesAllowed = Annotated[bool, Depends(changes_allowed)]
Actor = Annotated[str, Depends(actor_of)]
