"""Users from a token file reach a running server, and have only what roles give them."""

from sandbox.kube.authn import read_token_file
from sandbox.kube.server import KubeServer
from tests.support.kube_http import KubeHttp


async def test_a_static_token_is_a_user_like_any_other(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text('abc,alice,1,"dev"\n')
    async with KubeServer(tokens=read_token_file(path)) as server:
        async with KubeHttp(str(server.kubeconfig_path), token="abc") as http:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            reply = await http("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
            assert reply.body["status"]["userInfo"]["groups"] == ["dev", "system:authenticated"]
            refused = await http("GET", "/api/v1/namespaces")
            assert refused.status == 403 and 'User "alice"' in refused.body["message"]
