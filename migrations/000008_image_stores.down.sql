DROP TABLE image_stores;
