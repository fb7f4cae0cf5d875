BEGIN TRANSACTION;
CREATE TABLE block (
	dataset_id TEXT NOT NULL,
	block TEXT NOT NULL,
	charged BIGINT NOT NULL,
	ceiling BIGINT NOT NULL,
	PRIMARY KEY (dataset_id, block),
	CONSTRAINT charged_within_ceiling CHECK (charged >= 0 AND charged <= ceiling),
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
);
INSERT INTO "block" VALUES('taxi','2025',533952205332,6190481023749);
INSERT INTO "block" VALUES('text','',0,577046515623);
INSERT INTO "block" VALUES('taxi','2026',0,6190481023749);
CREATE TABLE dataset (
	dataset_id TEXT NOT NULL,
	facts TEXT NOT NULL,
	epsilon TEXT NOT NULL,
	budget BIGINT NOT NULL,
	head_sequence BIGINT NOT NULL,
	head_hash TEXT NOT NULL,
	PRIMARY KEY (dataset_id),
	CONSTRAINT budget_in_range CHECK (budget > 0 AND budget < 9007199254740992)
);
INSERT INTO "dataset" VALUES('taxi','{"approver":"Dana   ß","blocks":["2025"],"budget":5090969395973,"delta":"0x1.0c6f7a0b5ed8dp-20","epsilon":"0x1.0000000000000p+3","kind":"register","neighboring_relation":"ADD_OR_REMOVE_ONE","order":"0x1.199999999999ap+2","population":null,"privacy_unit":"example"}','0x1.2000000000000p+3',6190481023749,14,'sha256:e2d8ea3576ccde1cf3bf85c615a277a47ab78da46149d4a440d9d0d4690aead9');
INSERT INTO "dataset" VALUES('text','{"approver":"Dana","blocks":[],"budget":577046515623,"delta":"0x1.ad7f29abcaf48p-24","epsilon":"0x1.0000000000000p+0","kind":"register","neighboring_relation":"ADD_OR_REMOVE_ONE","order":"0x1.a000000000000p+4","population":1000,"privacy_unit":"example"}','0x1.0000000000000p+0',577046515623,1,'sha256:456a83a7a493c2a9f6fe78129cb3fa55e7aa41689f4dd74a34e30a6652e49e1b');
CREATE TABLE entry (
	dataset_id TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	at TEXT NOT NULL,
	request_id TEXT NOT NULL,
	body TEXT NOT NULL,
	previous_hash TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (dataset_id, sequence),
	CONSTRAINT entry_once UNIQUE (dataset_id, request_id),
	CONSTRAINT sequence_positive CHECK (sequence > 0),
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
);
INSERT INTO "entry" VALUES('taxi',1,'2026-01-02T12:00:00.000Z','register:1cdb2a05b8450039f037a6573e0bcb3f','{"approver":"Dana   ß","blocks":["2025"],"budget":5090969395973,"delta":"0x1.0c6f7a0b5ed8dp-20","epsilon":"0x1.0000000000000p+3","kind":"register","neighboring_relation":"ADD_OR_REMOVE_ONE","order":"0x1.199999999999ap+2","population":null,"privacy_unit":"example"}','sha256:6231d8066487f6029633cb3d81addbcdc271e9ab551a8cb10ad75c47a4146b65','sha256:83c4c734ddacd1666f99b9d71e82ae6492b1bc3c673ebe9f13c1ab4f478449d3');
INSERT INTO "entry" VALUES('text',1,'2026-01-02T12:00:01.000Z','register:1d909f5a3b647d1a851fead67c32c9d1','{"approver":"Dana","blocks":[],"budget":577046515623,"delta":"0x1.ad7f29abcaf48p-24","epsilon":"0x1.0000000000000p+0","kind":"register","neighboring_relation":"ADD_OR_REMOVE_ONE","order":"0x1.a000000000000p+4","population":1000,"privacy_unit":"example"}','sha256:c286cf0cbbf2e8f95a894b49a04404debbc2ee3e599cd0ad9649aedef4fa1d08','sha256:456a83a7a493c2a9f6fe78129cb3fa55e7aa41689f4dd74a34e30a6652e49e1b');
INSERT INTO "entry" VALUES('taxi',2,'2026-01-02T12:00:02.000Z','blocks:00000000000000000000000000000002','{"approver":"Dana","blocks":["2026"],"kind":"blocks"}','sha256:83c4c734ddacd1666f99b9d71e82ae6492b1bc3c673ebe9f13c1ab4f478449d3','sha256:15a74c0200d2b8290ca98488bad6e4a584c2e3f9a86cbd7c80f5cda3d23896f8');
INSERT INTO "entry" VALUES('taxi',3,'2026-01-02T12:00:03.000Z','budget:00000000000000000000000000000003','{"approver":"Grace","budget":6190481023749,"epsilon":"0x1.2000000000000p+3","kind":"budget","reason":"A pilot."}','sha256:15a74c0200d2b8290ca98488bad6e4a584c2e3f9a86cbd7c80f5cda3d23896f8','sha256:6c727e83520ca5454cb1f9f22334d43f886f6a472e0924da4deb5a9ea9f00197');
INSERT INTO "entry" VALUES('taxi',4,'2026-01-02T12:00:04.000Z','reserve:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','{"accountant":"dp-accounting 0.4.3","blocks":["2025"],"cost":177984068444,"kind":"reserve","labels":{"pipeline":"demo"},"planned":{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100},"purpose":"model","run_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}','sha256:6c727e83520ca5454cb1f9f22334d43f886f6a472e0924da4deb5a9ea9f00197','sha256:3f2a80710bffdb28009fdcf77898d42864c3a861ef5fd9d95c35c2e5ce14ef1e');
INSERT INTO "entry" VALUES('taxi',5,'2026-01-02T12:00:05.000Z','reserve:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"accountant":"dp-accounting 0.4.3","blocks":["2025"],"cost":177984068444,"kind":"reserve","labels":{"pipeline":"demo"},"planned":{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100},"purpose":"model","run_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}','sha256:3f2a80710bffdb28009fdcf77898d42864c3a861ef5fd9d95c35c2e5ce14ef1e','sha256:90cefd5a94b0b2a0856fa0d38f2c64bb7345f77376fbf0d0f2a5c469919bd7b6');
INSERT INTO "entry" VALUES('taxi',6,'2026-01-02T12:00:06.000Z','reserve:cccccccccccccccccccccccccccccccc','{"accountant":"dp-accounting 0.4.3","blocks":["2025"],"cost":177984068444,"kind":"reserve","labels":{"pipeline":"demo"},"planned":{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100},"purpose":"model","run_id":"cccccccccccccccccccccccccccccccc"}','sha256:90cefd5a94b0b2a0856fa0d38f2c64bb7345f77376fbf0d0f2a5c469919bd7b6','sha256:74b2384766e2db5264f3c21840dd5ed6e28e947914b3b4b9968711f1fcee1f9c');
INSERT INTO "entry" VALUES('taxi',7,'2026-01-02T12:00:07.000Z','reserve:dddddddddddddddddddddddddddddddd','{"accountant":"dp-accounting 0.4.3","blocks":["2025"],"cost":177984068444,"kind":"reserve","labels":{"pipeline":"demo"},"planned":{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100},"purpose":"model","run_id":"dddddddddddddddddddddddddddddddd"}','sha256:74b2384766e2db5264f3c21840dd5ed6e28e947914b3b4b9968711f1fcee1f9c','sha256:b8727306e24044c4c9ad3ff0f5337f7e149e400aacc08a0f21052b7550d44773');
INSERT INTO "entry" VALUES('taxi',8,'2026-01-02T12:00:08.000Z','start:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:99999999999999999999999999999999','{"attempt":1,"attempt_id":"99999999999999999999999999999999","kind":"start","run_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}','sha256:b8727306e24044c4c9ad3ff0f5337f7e149e400aacc08a0f21052b7550d44773','sha256:56e22ddcbc8217b482b83d908bce6474a3b6e1fdb46dab7376949283db7c8864');
INSERT INTO "entry" VALUES('taxi',9,'2026-01-02T12:00:09.000Z','start:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb:99999999999999999999999999999999','{"attempt":1,"attempt_id":"99999999999999999999999999999999","kind":"start","run_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}','sha256:56e22ddcbc8217b482b83d908bce6474a3b6e1fdb46dab7376949283db7c8864','sha256:df1e861b8b104b0519c2596ce66864a8a4047612091ccb105218406fa77b5983');
INSERT INTO "entry" VALUES('taxi',10,'2026-01-02T12:00:10.000Z','start:cccccccccccccccccccccccccccccccc:99999999999999999999999999999999','{"attempt":1,"attempt_id":"99999999999999999999999999999999","kind":"start","run_id":"cccccccccccccccccccccccccccccccc"}','sha256:df1e861b8b104b0519c2596ce66864a8a4047612091ccb105218406fa77b5983','sha256:fa577d789884322ed884ad6f4e995bf38a389512fe016e726f4aa63bdd8fc762');
INSERT INTO "entry" VALUES('taxi',11,'2026-01-02T12:00:11.000Z','start:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:88888888888888888888888888888888','{"attempt":2,"attempt_id":"88888888888888888888888888888888","kind":"start","run_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}','sha256:fa577d789884322ed884ad6f4e995bf38a389512fe016e726f4aa63bdd8fc762','sha256:a59a72d47c5202dbfb590123ca8b3aa02f08be24491b93d162985167c5be7713');
INSERT INTO "entry" VALUES('taxi',12,'2026-01-02T12:00:12.000Z','commit:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','{"executed":{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100},"guarantee_digest":"sha256:cfc27d93217dd366fb34fe8a9d7a8ccc470e5041e56d30d4d4c5f9ab8540c0fb","kind":"commit","model_digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","run_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}','sha256:a59a72d47c5202dbfb590123ca8b3aa02f08be24491b93d162985167c5be7713','sha256:0ec006d7affbddd8d7858332370ec6153152d6b53d49ede1212ac0a7a3b3547e');
INSERT INTO "entry" VALUES('taxi',13,'2026-01-02T12:00:13.000Z','settle:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','{"approver":"Dana","kind":"settle","reason":"The machine died.","run_id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}','sha256:0ec006d7affbddd8d7858332370ec6153152d6b53d49ede1212ac0a7a3b3547e','sha256:50b437db9e69db8c876cf83ea667e9d09b69e93b90eb84382ea11b04c5efe7eb');
INSERT INTO "entry" VALUES('taxi',14,'2026-01-02T12:00:14.000Z','abort:dddddddddddddddddddddddddddddddd','{"kind":"abort","reason":"Not needed.","run_id":"dddddddddddddddddddddddddddddddd"}','sha256:50b437db9e69db8c876cf83ea667e9d09b69e93b90eb84382ea11b04c5efe7eb','sha256:e2d8ea3576ccde1cf3bf85c615a277a47ab78da46149d4a440d9d0d4690aead9');
CREATE TABLE ledger (
	ledger_id TEXT NOT NULL,
	PRIMARY KEY (ledger_id)
);
INSERT INTO "ledger" VALUES('00000000000000000000000000000001');
CREATE TABLE run (
	run_id TEXT NOT NULL,
	dataset_id TEXT NOT NULL,
	purpose TEXT NOT NULL,
	state TEXT NOT NULL,
	planned TEXT NOT NULL,
	cost BIGINT NOT NULL,
	blocks TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	attempt_id TEXT,
	model_digest TEXT,
	guarantee_digest TEXT,
	commit_sequence BIGINT,
	PRIMARY KEY (run_id),
	CONSTRAINT state_known CHECK (state IN ('RESERVED', 'STARTED', 'COMMITTED', 'ABORTED', 'SETTLED')),
	CONSTRAINT cost_in_range CHECK (cost > 0 AND cost < 9007199254740992),
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
);
INSERT INTO "run" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','taxi','model','COMMITTED','{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100}',177984068444,'["2025"]',2,'88888888888888888888888888888888','sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','sha256:cfc27d93217dd366fb34fe8a9d7a8ccc470e5041e56d30d4d4c5f9ab8540c0fb',12);
INSERT INTO "run" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','taxi','model','SETTLED','{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100}',177984068444,'["2025"]',1,'99999999999999999999999999999999',NULL,NULL,NULL);
INSERT INTO "run" VALUES('cccccccccccccccccccccccccccccccc','taxi','model','STARTED','{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100}',177984068444,'["2025"]',1,'99999999999999999999999999999999',NULL,NULL,NULL);
INSERT INTO "run" VALUES('dddddddddddddddddddddddddddddddd','taxi','model','ABORTED','{"noise_multiplier":"0x1.0000000000000p+1","sampling_probability":"0x1.999999999999ap-5","schema_version":1,"steps":100}',177984068444,'["2025"]',0,NULL,NULL,NULL,NULL);
CREATE TABLE schema_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT schema_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "schema_version" VALUES('0001');
CREATE INDEX run_by_dataset ON run (dataset_id, state);
CREATE TRIGGER ledger_kept BEFORE DELETE ON ledger  BEGIN SELECT RAISE(ABORT, 'no row of ledger is ever deleted'); END;
CREATE TRIGGER dataset_kept BEFORE DELETE ON dataset  BEGIN SELECT RAISE(ABORT, 'no row of dataset is ever deleted'); END;
CREATE TRIGGER block_kept BEFORE DELETE ON block  BEGIN SELECT RAISE(ABORT, 'no row of block is ever deleted'); END;
CREATE TRIGGER run_kept BEFORE DELETE ON run  BEGIN SELECT RAISE(ABORT, 'no row of run is ever deleted'); END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry  BEGIN SELECT RAISE(ABORT, 'no row of entry is ever deleted'); END;
CREATE TRIGGER ledger_final BEFORE UPDATE ON ledger  BEGIN SELECT RAISE(ABORT, 'the ledger''s name is never changed'); END;
CREATE TRIGGER entry_final BEFORE UPDATE ON entry  BEGIN SELECT RAISE(ABORT, 'entries of the ledger are never changed'); END;
CREATE TRIGGER run_moves_on BEFORE UPDATE ON run WHEN
NOT (
  (OLD.state = 'RESERVED' AND NEW.state IN ('STARTED', 'ABORTED'))
  OR (OLD.state = 'STARTED' AND NEW.state IN ('STARTED', 'COMMITTED', 'SETTLED'))
) OR NEW.run_id <> OLD.run_id OR NEW.dataset_id <> OLD.dataset_id OR NEW.planned <> OLD.planned OR NEW.cost <> OLD.cost
  OR NEW.blocks <> OLD.blocks OR NEW.purpose <> OLD.purpose
 BEGIN SELECT RAISE(ABORT, 'a run does not move this way'); END;
COMMIT;
