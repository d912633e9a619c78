"""Each kind of workload token that docs/identity.md explains, from the token to the evidence.

The configuration is the document's own. The claim sets have the shape of real tokens.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from broker import events
from broker.config.load import load
from broker.errors import IdentityRefused
from broker.identity.authority import Authority
from broker.identity.login import Login, UsedInMemory
from tests.broker.identity.samples import NOW, jwk, ssh_key, token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from broker.identity.issuers import Issuer
    from broker.identity.tokens import Jwk
    from broker.model import Identity

PAGE = Path(__file__).parents[3] / "docs" / "identity.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
AT = int(NOW.timestamp())


@dataclass(frozen=True)
class Sample:
    """A token as its issuer makes it, and who that is. `not_ours`: claims that do not fit."""

    issuer: str
    claims: Mapping[str, Any]
    identity: str
    groups: tuple[str, ...]
    acting_for: str | None
    kept: Mapping[str, str]
    not_ours: tuple[Mapping[str, Any], ...]
    algorithm: str = "RS256"
    headers: Mapping[str, Any] = field(default_factory=dict)


GITHUB = Sample(
    issuer="github",
    headers={"typ": "JWT", "x5t": "ykNaY4qM_ta4k2TgZOCEYLkcYlA"},
    claims={
        "jti": "6f6ba2b0-6a2f-4b1c-9b5d-2f7b1d3a9c11",
        "sub": "repo:acme/shop:environment:production",
        "aud": "interlock",
        "ref": "refs/heads/main",
        "sha": "c040cae0f0dc81641728557b80f09cfa23b83fe5",
        "repository": "acme/shop",
        "repository_owner": "acme",
        "repository_owner_id": "65342",
        "run_id": "22259804324",
        "run_number": "42",
        "run_attempt": "1",
        "repository_visibility": "private",
        "repository_id": "424242",
        "actor_id": "1001",
        "actor": "alice-gh",
        "workflow": "deploy",
        "head_ref": "",
        "base_ref": "",
        "event_name": "workflow_dispatch",
        "ref_protected": "true",
        "ref_type": "branch",
        "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": "c040cae0f0dc81641728557b80f09cfa23b83fe5",
        "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_sha": "c040cae0f0dc81641728557b80f09cfa23b83fe5",
        "runner_environment": "github-hosted",
        "environment": "production",
        "enterprise": "acme-inc",
        "iss": "https://token.actions.githubusercontent.com",
        "nbf": AT - 600,
        "exp": AT + 300,
        "iat": AT,
    },
    identity="agent:acme/shop@github",
    groups=("ci", "repo:acme/shop"),
    acting_for="alice-gh",
    kept={
        "run_id": "22259804324",
        "run_attempt": "1",
        "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        "event_name": "workflow_dispatch",
        "ref": "refs/heads/main",
        "sha": "c040cae0f0dc81641728557b80f09cfa23b83fe5",
        "actor_id": "1001",
    },
    not_ours=(
        {"repository_owner": "acme-evil", "repository": "acme-evil/shop"},
        {"repository_owner_id": "99"},
        {"ref_protected": "false"},
        {"actor": "dependabot[bot]"},
        {"actor": None},
    ),
)

GITLAB = Sample(
    issuer="gitlab",
    claims={
        "namespace_id": "72",
        "namespace_path": "acme/shop",
        "project_id": "20",
        "project_path": "acme/shop/api",
        "user_id": "1",
        "user_login": "alice",
        "user_email": "alice@acme.example",
        "user_access_level": "owner",
        "user_identities": [{"provider": "saml", "extern_uid": "u-1"}],
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["acme", "acme/shop"],
        "environment": "production",
        "environment_protected": "true",
        "deployment_tier": "production",
        "environment_action": "start",
        "runner_id": 1,
        "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.acme.example/acme/shop/api//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "jti": "63ab75f4-2606-4f0e-a500-86f90ab13a85",
        "iss": "https://gitlab.acme.example",
        "iat": AT,
        "nbf": AT - 5,
        "exp": AT + 3600,
        "sub": "project_path:acme/shop/api:ref_type:branch:ref:main",
        "aud": "interlock",
    },
    identity="agent:acme/shop/api@gitlab",
    groups=("ci", "project:acme/shop/api"),
    acting_for="alice@acme.example",
    kept={
        "job_id": "302",
        "pipeline_id": "574",
        "pipeline_source": "push",
        "ref": "main",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "user_login": "alice",
        "environment": "production",
    },
    not_ours=(
        {"namespace_path": "acmee"},
        {"namespace_path": "evil/acme"},
        {"ref_protected": "false"},
        {"ref_protected": None},
    ),
)

POD = {
    "namespace": "shop",
    "node": {"name": "ip-10-0-1-7.ec2.internal", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
    "pod": {"name": "report-7d9f-x2x4", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
    "serviceaccount": {"name": "reporter", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
}
CLUSTER_URL = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
KUBERNETES = Sample(
    issuer="cluster",
    claims={
        "aud": ["interlock"],
        "exp": AT + 3607,
        "iat": AT,
        "iss": CLUSTER_URL,
        "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936",
        "kubernetes.io": POD,
        "nbf": AT,
        "sub": "system:serviceaccount:shop:reporter",
    },
    identity="agent:k8s/shop/reporter@cluster",
    groups=("workloads", "ns:shop"),
    acting_for=None,
    kept={
        '"kubernetes.io".pod.name': "report-7d9f-x2x4",
        '"kubernetes.io".node.name': "ip-10-0-1-7.ec2.internal",
    },
    not_ours=(
        {"kubernetes.io": POD | {"namespace": "kube-system"}},
        {"kubernetes.io": {key: POD[key] for key in ("namespace", "serviceaccount")}},
        {"kubernetes.io": None, "kubernetes": {"io": POD}},
        {"kubernetes.io": None, '"kubernetes.io".namespace': "shop"},
        {"kubernetes.io": None, "kubernetes.io.namespace": "shop"},
    ),
)

ENGINE = {
    "instance_creation_timestamp": 1767225600,
    "instance_id": "152986662232938449",
    "instance_name": "report-1",
    "project_id": "acme-prod",
    "project_number": 739419398126,
    "zone": "europe-west4-a",
}
GOOGLE = Sample(
    issuer="google",
    claims={
        "aud": "interlock",
        "azp": "117171717171717171717",
        "email": "reporter@acme-prod.iam.gserviceaccount.com",
        "email_verified": True,
        "exp": AT + 3600,
        "google": {"compute_engine": ENGINE},
        "iat": AT,
        "iss": "https://accounts.google.com",
        "sub": "117171717171717171717",
    },
    identity="agent:reporter@acme-prod.iam.gserviceaccount.com@google",
    groups=("workloads",),
    acting_for=None,
    kept={
        "google.compute_engine.instance_id": "152986662232938449",
        "google.compute_engine.project_id": "acme-prod",
    },
    not_ours=(
        {"email": "reporter@acme-test.iam.gserviceaccount.com"},
        {"email": "alice@acme.example"},
        {"email": "x@acme-prod.iam.gserviceaccount.com.evil.example"},
        {"email_verified": False},
        {"aud": ["interlock", "https://other.example"]},
    ),
)

TENANT = "72f1c0de-0000-4000-8000-0000000000aa"
AZURE = Sample(
    issuer="azure",
    headers={"typ": "JWT"},
    claims={
        "aud": "6b1ec0de-0000-4000-8000-0000000000bb",
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "iat": AT - 300,
        "nbf": AT - 300,
        "exp": AT + 86100,
        "aio": "k2RgYGDZxSVk1vfs4zKBfxW3lwoeBwA=",
        "azp": "d0c0ffee-0000-4000-8000-0000000000cc",
        "azpacr": "2",
        "idtyp": "app",
        "oid": "5eed0000-0000-4000-8000-0000000000dd",
        "rh": "1.AXoAwN4",
        "roles": ["Orders.Read", "Orders Write"],
        "sub": "5eed0000-0000-4000-8000-0000000000dd",
        "tid": TENANT,
        "uti": "8xJpYq3Zk0mQ",
        "ver": "2.0",
        "xms_mirid": (
            "/subscriptions/5ub00000-0000-4000-8000-0000000000ee/resourcegroups/shop"
            "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reporter"
        ),
    },
    identity="agent:azure/5eed0000-0000-4000-8000-0000000000dd@azure",
    groups=("workloads", "Orders.Read"),
    acting_for=None,
    kept={
        "azp": "d0c0ffee-0000-4000-8000-0000000000cc",
        "xms_mirid": (
            "/subscriptions/5ub00000-0000-4000-8000-0000000000ee/resourcegroups/shop"
            "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reporter"
        ),
    },
    not_ours=({"tid": "0ther"}, {"idtyp": "user"}, {"idtyp": None}, {"roles": None}),
)

SPIRE = Sample(
    issuer="spire",
    algorithm="ES256",
    headers={"typ": "JOSE"},
    claims={
        "aud": ["interlock"],
        "exp": AT + 300,
        "iat": AT,
        "iss": "https://oidc.acme.example",
        "sub": "spiffe://acme.example/ns/shop/sa/reporter",
    },
    identity="agent:spiffe://acme.example/ns/shop/sa/reporter@spire",
    groups=("workloads",),
    acting_for=None,
    kept={"sub": "spiffe://acme.example/ns/shop/sa/reporter"},
    not_ours=(
        {"sub": "spiffe://acme.example/ns/bank/sa/reporter"},
        {"sub": "spiffe://evil.example/ns/shop/sa/reporter"},
        {"sub": "spiffe://acme.example/ns/shop/sa/reporter%2f"},
        {"iss": None},
    ),
)

ASSISTANT = Sample(
    issuer="assistants",
    claims={
        "iss": "https://id.acme.example/realms/assistants",
        "aud": "interlock",
        "iat": AT,
        "exp": AT + 300,
        "jti": "tx-1",
        "sub": "u-alice",
        "email": "alice@acme.example",
        "email_verified": True,
        "act": {"sub": "summariser", "iss": "https://id.acme.example/realms/assistants"},
    },
    identity="agent:assistant/summariser@assistants",
    groups=("assistants",),
    acting_for="alice@acme.example",
    kept={},
    not_ours=({"act": None}, {"act": "summariser"}, {"email_verified": False}),
)

PERSON = Sample(
    issuer="corp",
    claims={
        "iss": "https://id.acme.example",
        "aud": ["interlock"],
        "azp": "interlock",
        "iat": AT,
        "exp": AT + 3600,
        "sub": "u-alice",
        "email": "alice@acme.example",
        "email_verified": True,
        "groups": ["engineers"],
        "github_login": "alice-gh",
        "nonce": "n-1",
    },
    identity="human:alice@acme.example@corp",
    groups=("engineers",),
    acting_for=None,
    kept={"github_login": "alice-gh"},
    not_ours=({"email_verified": False}, {"groups": None}, {"azp": "some-other-client"}),
)

SAMPLES = [GITHUB, GITLAB, KUBERNETES, GOOGLE, AZURE, SPIRE, ASSISTANT, PERSON]
sampled = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.issuer)


class Keys:
    """Every issuer signs with its own key id."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Jwk]:
        self.asked.append(issuer.name)
        return {"rsa": jwk("RS256", "rsa"), "ec": jwk("ES256", "ec")}


def now() -> datetime:
    return NOW


@pytest.fixture
def documented(tmp_path: Path) -> tuple[Issuer, ...]:
    """Every issuer of the page, in one configuration."""
    entries = "".join(block.removeprefix("issuers:\n") for block in BLOCKS if "issuers:" in block)
    file = tmp_path / "interlock.yaml"
    file.write_text(f"issuers:\n{entries}")
    return load(file, environ={}).issuers


def signed(sample: Sample, **changes: Any) -> str:
    said = {k: v for k, v in {**sample.claims, **changes}.items() if v is not None}
    kid = "rsa" if sample.algorithm == "RS256" else "ec"
    return token(said, sample.algorithm, {"kid": kid, **sample.headers})


async def logged_in(issuers: tuple[Issuer, ...], text: str) -> tuple[Identity, timedelta]:
    return await Login(issuers, Keys(), UsedInMemory(), now).exchange(text)


def test_every_documented_issuer_has_a_sample(documented: tuple[Issuer, ...]) -> None:
    assert {issuer.name for issuer in documented} == {sample.issuer for sample in SAMPLES}


@sampled
async def test_who_it_is(documented: tuple[Issuer, ...], sample: Sample) -> None:
    identity, ttl = await logged_in(documented, signed(sample))
    assert str(identity) == sample.identity
    assert identity.groups == sample.groups
    assert identity.acting_for == sample.acting_for
    assert identity.claims == sample.kept
    assert identity.subject == sample.claims["sub"]
    assert timedelta() < ttl <= timedelta(hours=1)


@sampled
async def test_it_is_all_in_the_certificate_and_in_the_audit_log(
    documented: tuple[Issuer, ...], sample: Sample, tmp_path: Path
) -> None:
    identity, ttl = await logged_in(documented, signed(sample))
    authority = Authority.open(tmp_path / "keys")
    line, granted = authority.grant(ssh_key(), identity, ttl=ttl, now=NOW, serial=7)
    read = authority.read(asyncssh.import_certificate(line), NOW, "10.0.0.1")
    assert read == granted == replace(
        identity, serial=7, fingerprint=ssh_key().get_fingerprint(), expires=NOW + ttl
    )  # fmt: skip
    told = events.login_granted(read, source="10.0.0.1", ttl_s=600)
    assert told.actor == sample.identity
    assert told.fields["acting_for"] == sample.acting_for
    assert told.fields["claims"] == dict(sample.kept)
    assert told.fields["subject"] == sample.claims["sub"]
    json.dumps(dict(told.fields))


@pytest.mark.parametrize(
    ("sample", "changes"),
    [
        pytest.param(sample, changes, id=f"{sample.issuer}-{number}")
        for sample in SAMPLES
        for number, changes in enumerate(
            (*sample.not_ours, {"aud": "another"}, {"exp": AT - 31}, {"iat": AT + 31})
        )
    ],
)
async def test_who_it_is_not(
    documented: tuple[Issuer, ...], sample: Sample, changes: Mapping[str, Any]
) -> None:
    with pytest.raises(IdentityRefused):
        await logged_in(documented, signed(sample, **changes))


@sampled
async def test_no_issuer_speaks_for_another(documented: tuple[Issuer, ...], sample: Sample) -> None:
    """The claims of one under the name of another: its own conditions refuse them."""
    for other in SAMPLES:
        if other is sample:
            continue
        borrowed = {"iss": other.claims["iss"], "aud": other.claims["aud"]}
        with pytest.raises(IdentityRefused):
            await logged_in(documented, signed(sample, **borrowed))


async def test_only_the_named_issuer_is_asked_for_keys(documented: tuple[Issuer, ...]) -> None:
    keys = Keys()
    await Login(documented, keys, UsedInMemory(), now).exchange(signed(SPIRE))
    assert keys.asked == ["spire"]


def test_the_other_blocks_of_the_page_load_too(tmp_path: Path) -> None:
    rest = [block for block in BLOCKS if "issuers:" not in block]
    assert len(rest) == 2
    (tmp_path / "old.pub").write_text("ssh-ed25519 AAAA\n")
    for block in rest:
        text = re.sub(r"/etc/interlock/\w+(\.pub)?", str(tmp_path / "old.pub"), block)
        file = tmp_path / "interlock.yaml"
        file.write_text(text)
        assert load(file, environ={}).user_ca is not None
