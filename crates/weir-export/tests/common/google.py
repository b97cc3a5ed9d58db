# A store of Google's, in memory, with a bucket: an emulator, which keeps to itself the ETag that Google's own says.
import sys

from gcp_storage_emulator import server


class Response(server.Response):
    def close(self):
        self["ETag"] = '"an object\'s"'
        super().close()


server.Response = Response
server.create_server("127.0.0.1", int(sys.argv[1]), True, "flows").run()
