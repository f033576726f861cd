# SeaweedFS as a user of its own: a fresh volume takes over the owner of the folder that it covers.
FROM chrislusf/seaweedfs:3.97
RUN mkdir -p /data && chown 1000:1000 /data
USER 1000:1000
